"""Observe, decide, act, wait: one loop brings all nodes to where the topology wants them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, KeysView, Mapping, Sequence
from concurrent.futures import Executor, Future

from im.engine.act import Actor
from im.engine.answers import DONE, Answers
from im.engine.equipment import Equipment
from im.engine.journal import Journal, Move
from im.engine.observe import Observer
from im.engine.pace import LONGEST, Pace
from im.engine.policy import Policy
from im.engine.world import World
from im.errors import ProviderError
from im.plan.desired import DesiredNode, desired_nodes
from im.plan.diff import diff
from im.plan.model import Action, Catalog, InfrastructureState, Instance, Node, NodeState
from im.plan.observe import UP
from im.providers.base import Capability
from im.topology.model import Topology

WAITING = frozenset({NodeState.REQUESTED, NodeState.BUILDING})
UNDER_WAY = frozenset({InfrastructureState.PROVISIONING, InfrastructureState.RESIZING})
AT_REST = frozenset({InfrastructureState.READY, InfrastructureState.DEGRADED})
RUNS = AT_REST | {InfrastructureState.PROVISIONED}


def reconcile(
    world: World,
    journal: Journal,
    topology: Topology,
    catalog: Catalog,
    *,
    leave: Collection[str] = (),
    seen: Sequence[Instance] | None = None,
) -> bool:
    """Work until every wanted node answers or is given up, and nobody else is there.

    An infrastructure that is wanted only until it is provisioned needs servers that run and have their addresses; they
    are asked nothing. ``leave``: names of nodes that stay as they are. ``seen``: a listing that was made a moment
    ago. Returns whether the front-end was prepared meanwhile; raises if this cannot become a cluster.
    """
    pool = world.pool()
    try:
        observer = Observer(world, journal, seen)
        return _Reconciler(world, journal, topology, catalog, observer, leave=frozenset(leave), pool=pool).run()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Reconciler:
    def __init__(
        self,
        world: World,
        journal: Journal,
        topology: Topology,
        catalog: Catalog,
        observer: Observer,
        *,
        leave: frozenset[str],
        pool: Executor,
    ) -> None:
        self._world = world
        self._journal = journal
        self._topology = topology
        self._catalog = catalog
        self._leave = leave
        self._pool = pool
        self._connects = journal.record.until is not InfrastructureState.PROVISIONED
        self._observer = observer
        self._actor = Actor(world, journal, observer, topology, catalog, pool=pool)
        self._equipment = Equipment(world, journal, topology, pool, spec=self._actor.spec, prepare=self._actor.prepare)
        self._answers = Answers(world, journal, topology, pool, self._equipment.complete)
        self._policy = Policy(world, journal, topology)
        self._pace = Pace(world.clock)
        self._preparation: Future[None] | None = None
        self._desired_at = -1
        self._desired_nodes: Mapping[str, DesiredNode] = {}

    def run(self) -> bool:
        need_not_begin = RUNS | {InfrastructureState.CONFIGURING} if self._connects else RUNS
        if self._journal.record.state not in need_not_begin:
            self._begin()
        if self._connects:
            self._answers.second_chance()
        if self._journal.record.expires and Capability.LIFETIMES in self._world.provider.capabilities:
            self._actor.prepare()  # a lifetime may have been prolonged, and the cloud must not know an older one
        self._tick()
        while not self._settled():
            self._world.clock.wait(self._answers.wake, self._pace.delay())
            self._answers.wake.clear()
            self._tick()
        self._policy.enough()
        if self._preparation:
            self._preparation.result()
        if self._journal.record.state in UNDER_WAY:
            self._journal.enter(InfrastructureState.PROVISIONED)
        return self._preparation is not None

    def _tick(self) -> None:
        changed = False
        if self._observer.age >= LONGEST or not self._provisioned():
            changed = self._look_and_act()
        moves = [*(self._hear() if self._connects else ()), *self._stuck()]
        self._policy.judge(moves, self._wanted())
        if self._connects:
            self._answers.ask()
            self._prepare_early()
        if changed or moves:
            self._pace.progress()
            self._tell_progress()

    def _hear(self) -> tuple[Move, ...]:
        return (*self._answers.hear(), *self._answers.late())

    def _look_and_act(self) -> bool:
        wanted = self._wanted()
        with self._pace.looking():
            moves = self._observer.look(wanted)
        self._policy.front_end_lives()
        self._policy.judge(moves, wanted)
        adopted = self._observer.binding.adopted
        if adopted:
            self._actor.adopt(adopted)
            moves += self._observer.take(adopted)
        return self._act() or bool(moves)

    # deciding and acting

    def _desired(self) -> Mapping[str, DesiredNode]:
        """The nodes that should exist, by name; computed anew only after a row has changed."""
        if self._desired_at != self._journal.version:
            nodes = desired_nodes(self._topology, tuple(self._journal.nodes.values()))
            self._desired_nodes = {node.name: node for node in nodes}
            self._desired_at = self._journal.version
        return self._desired_nodes

    def _wanted(self) -> KeysView[str]:
        return self._desired().keys()

    def _given_up(self) -> frozenset[str]:
        return self._leave | self._policy.given_up

    def _act(self) -> bool:
        """Do what the plan says now; returns whether that was anything new."""
        desired = self._desired()
        actions = self._actions()
        ending = _names(actions, "replace") + [name for name in _names(actions, "delete") if name not in desired]
        starting = [name for name in _names(actions, "start") if self._policy.try_again(name)]
        creating = [desired[name] for name in _names(actions, "create")]
        new = [node for node in creating if not self._is_requested(node.name)]
        if ending or starting or creating:
            self._begin()
        changed = self._actor.delete(ending)
        self._actor.sweep()
        changed |= bool(starting and self._actor.start(starting))
        if creating:
            with self._pace.asking():
                moves = self._actor.create(creating)
            self._policy.judge(moves, desired)
        with self._pace.asking():
            self._equipment.provide()
        return changed or bool(new)  # asking for the same once more is no progress

    def _is_requested(self, name: str) -> bool:
        row = self._journal.nodes.get(name)
        return row is not None and row.state is NodeState.REQUESTED

    def _actions(self) -> tuple[Action, ...]:
        rows = tuple(self._journal.nodes.values())
        leave = self._given_up() | self._observer.undecided
        servers = self._observer.instances
        return diff(self._journal.record.name, self._topology, rows, servers, self._catalog, leave=leave).actions

    def _begin(self) -> None:
        state = self._journal.record.state
        if state not in UNDER_WAY:
            resizing = state in AT_REST
            self._journal.enter(InfrastructureState.RESIZING if resizing else InfrastructureState.PROVISIONING)

    # waiting

    def _settled(self) -> bool:
        rows, left = self._journal.nodes, self._given_up()
        return self._provisioned() and (
            not self._connects or all(name in left or rows[name].state in DONE for name in self._wanted())
        )

    def _provisioned(self) -> bool:
        """Whether a listing would tell nothing new: all servers run, with their addresses, and no others are there."""
        rows, wanted, left = self._journal.nodes, self._wanted(), self._given_up()
        if rows.keys() - wanted or self._observer.binding.strays or self._observer.unsettled - left:
            return False
        return all(name in left or (name in rows and self._runs(rows[name])) for name in wanted)

    def _runs(self, row: Node) -> bool:
        return row.state in UP and self._equipment.complete(row)

    def _stuck(self) -> tuple[Move, ...]:
        """Give up on what the cloud does not finish. Progress of any node gives the others time."""
        limit = self._world.settings.boot_timeout
        if self._pace.idle <= limit:
            return ()
        message = f"the cloud has not finished it, and nothing else has changed for {limit:g} s"
        rows = self._journal.nodes.values()
        unfinished = [row for row in rows if row.state in WAITING or (row.state in UP and not self._runs(row))]
        moves = tuple(Move(row, NodeState.FAILED, "boot-timeout", message) for row in unfinished)
        if not moves and not any(row.state is NodeState.BOOTING for row in rows):
            left = [f"{row.name} is {row.state}" for row in rows if row.state not in DONE]
            left += [f"server {stray.id} is still there" for stray in self._observer.binding.strays]
            raise ProviderError(
                f"nothing has changed for {limit:g} s: {'; '.join(left)}", hint="the same command tries again"
            )
        self._journal.advance(moves)
        return moves

    def _prepare_early(self) -> None:
        """Use the time in which the workers boot to bring the tools to the front-end."""
        rows = self._journal.nodes.values()
        front_end = next((row for row in rows if row.front_end and row.state in DONE), None)
        others_boot = any(row.state not in DONE and row.name not in self._given_up() for row in rows)
        if self._preparation is None and front_end and others_boot and not front_end.configured:
            prepare = self._world.contextualizer.prepare
            self._preparation = self._pool.submit(prepare, self._answers.cluster(), self._journal.tell)

    def _tell_progress(self) -> None:
        wanted, rows = self._wanted(), self._journal.nodes
        is_done = (lambda row: row.state in DONE) if self._connects else self._runs
        done = sum(name in rows and is_done(rows[name]) for name in wanted)
        message = f"{done} of {len(wanted)} nodes {'answer' if self._connects else 'run'}"
        self._journal.note("boot", "progress", "nodes", message, done=done, total=len(wanted))


def _names(actions: Iterable[Action], kind: str) -> list[str]:
    return [action.node for action in actions if action.kind == kind]
