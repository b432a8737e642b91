"""Looks at the cloud and writes down what it says, but not before it can be believed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from im.engine.calls import repeated
from im.engine.journal import Journal, Move
from im.engine.pace import Sightings
from im.engine.world import World
from im.plan.model import Instance, Node, NodeState
from im.plan.observe import SERVER_ERROR, Binding, bind, state_seen, updated

_NOT_EXPECTED = frozenset({NodeState.LOST, NodeState.GONE})


def list_servers(world: World, journal: Journal) -> tuple[Instance, ...]:
    """Return the servers of the infrastructure as the cloud lists them now."""
    infrastructure = journal.record.id
    return repeated(world, journal, "listing servers", lambda: world.provider.list(infrastructure))


class Observer:
    """One listing at a time becomes rows. ``binding`` and ``instances`` are those of the last listing.

    ``seen``: a listing that was made a moment ago; it is the first.
    """

    def __init__(self, world: World, journal: Journal, seen: Sequence[Instance] | None = None) -> None:
        self._first = seen
        self._world = world
        self._journal = journal
        self._listed: float | None = None
        self.sightings = Sightings(world.clock, world.settings.absence_grace)
        self.instances: tuple[Instance, ...] = ()
        self.binding = Binding({})
        self._due: frozenset[str] = frozenset()

    @property
    def age(self) -> float:
        """Seconds since the last listing; endless if there was none."""
        return float("inf") if self._listed is None else self._world.clock.monotonic() - self._listed

    @property
    def undecided(self) -> set[str]:
        """Names of nodes about which the cloud has to be asked again before anything is done."""
        open_questions = self.sightings.missing - self._due
        return {row.name for row in self._journal.nodes.values() if row.token in open_questions or self._starts(row)}

    @property
    def unsettled(self) -> set[str]:
        """Names of nodes that the last listing did not show as they should be."""
        missing = self.sightings.missing
        return {row.name for row in self._journal.nodes.values() if row.token in missing or self._starts(row)}

    def look(self, wanted: Collection[str]) -> tuple[Move, ...]:
        """List the servers of the infrastructure once and write what changed; returns the changes of state."""
        self.instances = list_servers(self._world, self._journal) if self._first is None else tuple(self._first)
        self._first = None
        self._listed = self._world.clock.monotonic()
        rows = tuple(self._journal.nodes.values())
        self.binding = bind(rows, self.instances, wanted)
        missing = [row for row in rows if self._is_missing(row)]
        self.sightings.look({row.token for row in missing})
        self._due = frozenset(row.token for row in missing if self._is_believed(row))
        return self._write([move for row in rows if (move := self._seen(row))])

    def take(self, instances: Sequence[Instance]) -> tuple[Move, ...]:
        """Write what a create call returned, as if it had been listed."""
        rows = {row.token: row for row in self._journal.nodes.values()}
        found = {rows[instance.token].name: instance for instance in instances if instance.token in rows}
        self.instances = (*self.instances, *instances)
        self.binding = replace(self.binding, instances={**self.binding.instances, **found})
        return self._write([move for name in found if (move := self._seen(self._journal.nodes[name]))])

    def _write(self, moves: Sequence[Move]) -> tuple[Move, ...]:
        """Write real moves and mere new knowledge, each in one go."""
        rows = self._journal.nodes
        self._journal.save([m.node for m in moves if m.to is m.node.state and m.node != rows[m.node.name]])
        real = [move for move in moves if move.to is not move.node.state]
        self._journal.advance(real)
        return tuple(real)

    def _seen(self, row: Node) -> Move | None:
        instance = self.binding.instances.get(row.name)
        if instance is None or instance.status == "deleting":
            return self._absent(row)
        known = updated(row, instance)
        if self._starts(row):
            return Move(known, row.state, row.reason, row.message)
        state = state_seen(row, instance)
        if state is NodeState.FAILED and row.state is not NodeState.FAILED:
            return Move(known, state, SERVER_ERROR, instance.message or "the cloud reports an error without a reason")
        return Move(known, state)

    def _absent(self, row: Node) -> Move | None:
        if row.token not in self._due:
            return None
        if row.state is NodeState.DELETING:
            return Move(row, NodeState.GONE)
        if row.state is NodeState.REQUESTED:
            return None
        return Move(row, NodeState.LOST, "lost", "the cloud does not have this server any more")

    def _is_missing(self, row: Node) -> bool:
        instance = self.binding.instances.get(row.name)
        expected = row.state not in _NOT_EXPECTED and (row.id or row.state is not NodeState.FAILED)
        return bool(expected) and (
            instance is None or (instance.status == "deleting" and row.state is not NodeState.DELETING)
        )

    def _is_believed(self, row: Node) -> bool:
        """Whether the absence of a node is believed. What we deleted and saw before needs no grace."""
        if row.state is NodeState.DELETING and row.id:
            return self.sightings.twice(row.token)
        return self.sightings.believed(row.token, row.requested)

    def _starts(self, row: Node) -> bool:
        """Whether a node was asked to start a moment ago and the cloud has not noticed yet."""
        instance = self.binding.instances.get(row.name)
        if row.state is not NodeState.BOOTING or instance is None or instance.status != "stopped" or not row.requested:
            return False
        return self._world.clock.now() - row.requested < timedelta(seconds=self._world.settings.absence_grace)
