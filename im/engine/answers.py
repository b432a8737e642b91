"""Asks booting nodes whether they answer on SSH, many at once and without holding up the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace

from im.engine.cluster import cluster_of
from im.engine.journal import Journal, Move
from im.engine.world import World
from im.errors import ImError, NotReachable, SshError
from im.plan.model import Cluster, Node, NodeState
from im.plan.observe import UP
from im.providers.base import Capability
from im.topology.model import Topology

DONE = UP - {NodeState.BOOTING}
"""States of a node that has answered."""


class Answers:
    """At most one question per node is under way; ``wake`` is set when an answer is worth looking at.

    ``complete`` tells whether a node has all that it should have before it is asked.
    """

    def __init__(
        self, world: World, journal: Journal, topology: Topology, pool: Executor, complete: Callable[[Node], bool]
    ) -> None:
        self._world = world
        self._journal = journal
        self._topology = topology
        self._pool = pool
        self._complete = complete
        self._asked: dict[str, tuple[str, Future[NotReachable | None]]] = {}
        self._obstacles: dict[str, NotReachable] = {}
        self._up_since: dict[str, float] = {}
        self._way_since = 0.0
        self._cluster: tuple[int, Cluster | None] = (-1, None)
        self._known_hosts: object = None
        self.wake = threading.Event()

    def cluster(self) -> Cluster:
        """Return the nodes that have an address as a cluster; made anew only after a row has changed."""
        version, cluster = self._cluster
        if cluster is None or version != self._journal.version:
            nodes = [row for row in self._journal.nodes.values() if row.address]
            cluster = cluster_of(self._world, self._journal.record, self._topology, nodes)
            self._cluster = (self._journal.version, cluster)
        return cluster

    def ask(self) -> None:
        """Ask every node that could answer by now, unless a question is under way already."""
        nodes = [row for row in self._booting() if row.address and row.name not in self._asked]
        if nodes:
            self._write_known_hosts()
            cluster = self.cluster()
            self._asked |= {node.name: (node.token, self._pool.submit(self._probe, cluster, node)) for node in nodes}

    def hear(self) -> tuple[Move, ...]:
        """Write which nodes answered, or never will; returns the changes of state."""
        moves = []
        for name, (token, future) in tuple(self._asked.items()):
            if not future.done():
                continue
            del self._asked[name]
            row = self._journal.nodes.get(name)
            if row and row.token == token and row.state is NodeState.BOOTING and (move := self._answer(row, future)):
                moves.append(move)
        self._journal.advance(moves)
        return tuple(moves)

    def late(self) -> tuple[Move, ...]:
        """Write which nodes had their time and did not answer; returns the changes of state."""
        limit, now = self._world.settings.ssh_timeout, self._world.clock.monotonic()
        late = [row for row in self._booting() if now - self._could_since(row) > limit]
        moves = tuple(Move(row, NodeState.FAILED, "ssh-timeout", self._what_is_missing(row)) for row in late)
        self._journal.advance(moves)
        return moves

    def _what_is_missing(self, row: Node) -> str:
        text = f"it runs, but for {self._world.settings.ssh_timeout:g} s nobody could log in"
        obstacle = self._obstacles.get(row.token)
        return f"{text}: {obstacle}" if obstacle else text

    def _could_since(self, row: Node) -> float:
        """Return since when a node could have answered; the front-end does not wait for the way through itself."""
        up = self._up_since[row.token]
        return up if row.front_end else max(up, self._way_since)

    def second_chance(self) -> None:
        """A node that was too late last time may answer by now; one that does need not be replaced.

        A front-end that was configured once is waited for anew, for it is never replaced.
        """
        late = (NodeState.FAILED, "ssh-timeout")
        rows = [row for row in self._journal.nodes.values() if (row.state, row.reason) == late]
        if rows:
            self._write_known_hosts()
            cluster = self.cluster()
            asked = [(row, self._pool.submit(self._probe, cluster, row)) for row in rows]
            found = [row for row, future in asked if not future.exception() and not future.result()]
            again = [row for row in rows if row not in found and row.front_end and row.configured]
            self._journal.advance([self._reached(row) for row in found])
            self._journal.advance([Move(row, NodeState.BOOTING) for row in again])

    def _booting(self) -> Sequence[Node]:
        """The nodes that could answer: they run, lack nothing, and so does the front-end if the way goes through it."""
        rows, now = self._journal.nodes.values(), self._world.clock.monotonic()
        booting = [row for row in rows if row.state is NodeState.BOOTING and self._complete(row)]
        direct = Capability.DIRECT in self._world.provider.capabilities
        if not direct and not any(row.front_end and row.state in DONE for row in rows):
            booting = [row for row in booting if row.front_end]
            self._way_since = now
        for row in booting:
            self._up_since.setdefault(row.token, now)
        return booting

    def _write_known_hosts(self) -> None:
        nodes = tuple(self._journal.nodes.values())
        known = frozenset(
            (node.name, node.private_address, node.public_address, node.host_public_key) for node in nodes
        )
        if known != self._known_hosts:
            self._world.keys(self._journal.record.id).write_known_hosts(nodes)
            self._known_hosts = known

    def _probe(self, cluster: Cluster, node: Node) -> NotReachable | None:
        """Return what keeps us out, if it may go away."""
        obstacle = None
        try:
            self._world.contextualizer.reach(cluster, node)
        except NotReachable as error:
            obstacle = error
        finally:
            if obstacle is None:  # another exception is an answer, too
                self.wake.set()
        return obstacle

    def _answer(self, row: Node, future: Future[NotReachable | None]) -> Move | None:
        error = future.exception()
        if error is None:
            obstacle = future.result()
            if obstacle is None:
                return self._reached(row)
            self._obstacles[row.token] = obstacle
            return None
        if not isinstance(error, ImError):
            error = SshError(f"asking whether it answers failed: {type(error).__name__}: {error}")
        return Move(row, NodeState.FAILED, error.code, str(error))

    def _reached(self, row: Node) -> Move:
        """From now on only the node's own host key is accepted."""
        own = self._world.keys(row.infrastructure).host_key(row.name).public
        return Move(replace(row, host_public_key=own), NodeState.REACHABLE)
