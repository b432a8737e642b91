"""The values of the store, and how they become rows and come back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from im import events as happened
from im.events import Event
from im.plan.model import AttachedVolume, InfrastructureState, Node, NodeState
from im.topology.model import Topology


@dataclass(frozen=True, slots=True)
class InfrastructureRecord:
    """One infrastructure as the client knows it.

    ``counts``: node counts by group that ``scale`` asked for, until the next deploy of a template. ``until``: how far
    it goes, ``ready`` or only ``provisioned``. ``expires``: from then on ``gc`` deletes it; None: never.
    """

    id: str
    name: str
    cloud: str
    state: InfrastructureState = InfrastructureState.PLANNED
    reason: str = ""
    message: str = ""
    topology: Topology | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    until: InfrastructureState = InfrastructureState.READY
    outputs: Mapping[str, object] = field(default_factory=dict)
    created: datetime = field(default_factory=happened.now)
    updated: datetime = field(default_factory=happened.now)
    expires: datetime | None = None
    nodes: tuple[Node, ...] = ()


def _row(value: object, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    names = (item.name for item in fields(cast(Any, value)) if item.name not in leave_out)
    return {name: _naive(getattr(value, name)) for name in names}


def _naive(value: Any) -> Any:  # noqa: ANN401
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _aware(value: datetime | None) -> datetime | None:
    return value and value.replace(tzinfo=UTC)


def infrastructure_row(record: InfrastructureRecord) -> dict[str, Any]:
    """Return the row of a record."""
    topology = record.topology and msgspec.json.encode(record.topology, enc_hook=str).decode()
    written = {
        "topology": topology,
        "counts": json.dumps(dict(record.counts)),
        "outputs": json.dumps(dict(record.outputs), default=str),
    }
    return _row(record, ("nodes",)) | written


def infrastructure(row: Mapping[str, Any]) -> InfrastructureRecord:
    """Return the record of a row, without its nodes."""
    read = {
        "state": InfrastructureState(row["state"]),
        "until": InfrastructureState(row["until"]),
        "topology": row["topology"] and msgspec.json.decode(row["topology"], type=Topology),
        "counts": json.loads(row["counts"]),
        "outputs": json.loads(row["outputs"]),
    }
    times = {name: _aware(row[name]) for name in ("created", "updated", "expires")}
    return InfrastructureRecord(**(dict(row) | read | times))


def node_row(node: Node) -> dict[str, Any]:
    """Return the row of a node."""
    return _row(node) | {"volumes": json.dumps([asdict(volume) for volume in node.volumes])}


def node(row: Mapping[str, Any]) -> Node:
    """Return the node of a row."""
    volumes = tuple(AttachedVolume(**volume) for volume in json.loads(row["volumes"]))
    read = {"state": NodeState(row["state"]), "requested": _aware(row["requested"]), "volumes": volumes}
    return Node(**(dict(row) | read))


def event_row(event: Event) -> dict[str, Any]:
    """Return the row of an event that has no number yet."""
    return _row(event, ("seq",)) | {"data": json.dumps(dict(event.data), default=str)}


def event(row: Mapping[str, Any]) -> Event:
    """Return the event of a row."""
    return Event(**(dict(row) | {"data": json.loads(row["data"]), "at": _aware(row["at"])}))
