"""The state of one infrastructure while a command works on it: every change is a row and an event, written at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from im.engine import states
from im.events import Emit, Event, Kind, now
from im.plan.model import InfrastructureState, Node, NodeState
from im.store.repository import InfrastructureRecord, Store

NODE_EVENTS: dict[NodeState, tuple[str, Kind]] = {
    NodeState.REQUESTED: ("create", "started"),
    NodeState.BUILDING: ("create", "progress"),
    NodeState.BOOTING: ("boot", "started"),
    NodeState.REACHABLE: ("boot", "finished"),
    NodeState.CONFIGURING: ("configure", "started"),
    NodeState.READY: ("configure", "finished"),
    NodeState.STOPPED: ("stop", "finished"),
    NodeState.FAILED: ("boot", "failed"),
    NodeState.LOST: ("boot", "failed"),
    NodeState.DELETING: ("delete", "started"),
    NodeState.GONE: ("delete", "finished"),
}

INFRASTRUCTURE_EVENTS: dict[InfrastructureState, tuple[str, Kind]] = {
    InfrastructureState.PLANNED: ("plan", "finished"),
    InfrastructureState.PROVISIONING: ("create", "started"),
    InfrastructureState.RESIZING: ("create", "started"),
    InfrastructureState.PROVISIONED: ("boot", "finished"),
    InfrastructureState.CONFIGURING: ("configure", "started"),
    InfrastructureState.READY: ("preflight", "finished"),
    InfrastructureState.DEGRADED: ("preflight", "finished"),
    InfrastructureState.STOPPED: ("stop", "finished"),
    InfrastructureState.DELETING: ("delete", "started"),
    InfrastructureState.DELETED: ("delete", "finished"),
}


@dataclass(frozen=True, slots=True)
class Move:
    """A node's change of state; ``node`` has its new values already, but for the state."""

    node: Node
    to: NodeState
    reason: str = ""
    message: str = ""


class Journal:
    """The record and the nodes of one infrastructure, in step with the store; ``version`` grows as ``nodes`` change."""

    def __init__(self, store: Store, emit: Emit, record: InfrastructureRecord) -> None:
        self._store = store
        self._emit = emit
        self._telling = threading.Lock()
        self._phase = "plan"
        self.record = record
        self.version = 0
        self.nodes: dict[str, Node] = {node.name: node for node in store.nodes(record.id)}

    @property
    def record_with_nodes(self) -> InfrastructureRecord:
        """The record together with its nodes, as they are now."""
        return replace(self.record, nodes=self._store.nodes(self.record.id))

    def enter(self, state: InfrastructureState, reason: str = "", message: str = "", **changes: Any) -> None:  # noqa: ANN401
        """Bring the infrastructure to a state; ``changes`` are other fields of its record."""
        states.check(states.INFRASTRUCTURE, self.record.name, self.record.state, state)
        self.record = replace(self.record, state=state, reason=reason, message=message, updated=now(), **changes)
        phase, kind = INFRASTRUCTURE_EVENTS.get(state, (self._phase, "failed"))
        self._phase = phase
        event = self._event(
            "infrastructure", self.record.name, phase, kind, reason or str(state), message, {"state": str(state)}
        )
        self._tell(self._store.write(self.record, events=[event]))

    def amend(self, **changes: Any) -> None:  # noqa: ANN401
        """Change fields of the record that are not its state."""
        self.record = replace(self.record, updated=now(), **changes)
        self._store.write(self.record)

    def plan(self, nodes: Sequence[Node]) -> None:
        """Write the rows of nodes that are about to be requested; a row of the same name is replaced."""
        events = [self._node_event(node, NodeState.REQUESTED, "", "") for node in nodes]
        self._write(nodes, events)

    def advance(self, moves: Sequence[Move]) -> None:
        """Write these changes of state, all or none."""
        if not moves:
            return
        for move in moves:
            states.check(states.NODE, move.node.name, move.node.state, move.to)
        events = [self._node_event(move.node, move.to, move.reason, move.message) for move in moves]
        moved = [replace(move.node, state=move.to, reason=move.reason, message=move.message) for move in moves]
        self._write(moved, events)

    def save(self, nodes: Sequence[Node]) -> None:
        """Write what is newly known about nodes, without a change of state."""
        if nodes:
            self._write(nodes, [])

    def note(
        self,
        phase: str,
        kind: Kind,
        code: str,
        message: str,
        *,
        scope: Literal["infrastructure", "node"] = "infrastructure",
        subject: str = "",
        **data: object,
    ) -> None:
        """Record something that changes no state."""
        self.tell(self._event(scope, subject or self.record.name, phase, kind, code, message, data))

    def tell(self, event: Event) -> None:
        """Store an event and pass it on; the :data:`~im.events.Emit` that others get. Any thread may call it."""
        self._tell([self._store.add_event(event)])

    def _write(self, nodes: Sequence[Node], events: Sequence[Event]) -> None:
        gone = [node for node in nodes if node.state is NodeState.GONE]
        kept = [node for node in nodes if node.state is not NodeState.GONE]
        written = self._store.write(nodes=kept, gone=gone, events=events)
        for node in gone:
            self.nodes.pop(node.name, None)
        self.nodes.update({node.name: node for node in kept})
        self.version += 1
        self._tell(written)

    def _node_event(self, node: Node, state: NodeState, reason: str, message: str) -> Event:
        phase, kind = NODE_EVENTS[state]
        if (node.state, state) == (NodeState.CONFIGURING, NodeState.REACHABLE):
            phase, kind = "configure", "note"
        data = {"state": str(state), "from": str(node.state), "group": node.group}
        return self._event("node", node.name, phase, kind, reason or str(state), message, data)

    def _event(  # noqa: PLR0917
        self,
        scope: Literal["infrastructure", "node"],
        subject: str,
        phase: str,
        kind: Kind,
        code: str,
        message: str,
        data: Mapping[str, object],
    ) -> Event:
        return Event(self.record.id, scope, subject, phase, kind, code, message, data)

    def _tell(self, events: Iterable[Event]) -> None:
        with self._telling:
            for event in events:
                self._emit(event)
