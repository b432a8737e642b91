"""What a listing of the cloud says about the nodes that we know. Pure; the engine decides what to believe when."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from im.plan.model import Instance, Node, NodeState

UP = frozenset({NodeState.BOOTING, NodeState.REACHABLE, NodeState.CONFIGURING, NodeState.READY})
"""States of a node whose server runs."""

SERVER_ERROR = "server-error"
"""Reason of a node whose server the cloud reports in error."""

_ON_ACTIVE = frozenset({NodeState.REQUESTED, NodeState.BUILDING, NodeState.STOPPED, NodeState.LOST})
_ON_ERROR = frozenset(NodeState) - {NodeState.DELETING, NodeState.GONE}


@dataclass(frozen=True, slots=True)
class Binding:
    """Rows and servers, put together by token.

    ``instances``: by node name. ``adopted``: servers with our mark and no row, whose name is wanted and free.
    ``strays``: servers that nobody needs: duplicates, and nodes that are no longer wanted.
    """

    instances: Mapping[str, Instance]
    adopted: tuple[Instance, ...] = ()
    strays: tuple[Instance, ...] = ()


def bind(rows: Sequence[Node], instances: Sequence[Instance], wanted: Collection[str]) -> Binding:
    """Put rows and servers together. Of two servers with one token, the one that the row knows or that works stays."""
    by_token = {row.token: row for row in rows}
    bound: dict[str, Instance] = {}
    adopted: dict[str, Instance] = {}
    strays: list[Instance] = []
    names = {row.name for row in rows}
    for instance in sorted(instances, key=lambda server: _preference(server, by_token.get(server.token))):
        row = by_token.get(instance.token)
        if row and row.name not in bound:
            bound[row.name] = instance
        elif row is None and _adoptable(instance, wanted, names, adopted):
            adopted[instance.name] = instance
        elif instance.status != "deleting":
            strays.append(instance)
    return Binding(bound, tuple(adopted.values()), tuple(strays))


def state_seen(row: Node, instance: Instance) -> NodeState:
    """Return the state that a node is in, given what the cloud shows of its server."""
    found = row.state is NodeState.FAILED and not row.id  # the create call failed for us, but it happened
    healed = row.state is NodeState.FAILED and row.reason == SERVER_ERROR
    match instance.status:
        case "building" if found or row.state in {NodeState.REQUESTED, NodeState.LOST}:
            return NodeState.BUILDING
        case "active" if found or healed or row.state in _ON_ACTIVE:
            return NodeState.BOOTING
        case "stopped" if found or row.state in UP | _ON_ACTIVE:
            return NodeState.STOPPED
        case "error" if row.state in _ON_ERROR:
            return NodeState.FAILED
        case _:
            return row.state


def updated(row: Node, instance: Instance) -> Node:
    """Return the row with what the cloud knows better: id, addresses and volumes."""
    private = instance.private_address or row.private_address
    public = instance.public_address or row.public_address
    volumes = instance.volumes or row.volumes
    known = (row.id, row.private_address, row.public_address, row.volumes)
    if (instance.id, private, public, volumes) == known:
        return row
    return replace(row, id=instance.id, private_address=private, public_address=public, volumes=volumes)


def _preference(instance: Instance, row: Node | None) -> tuple[bool, int, str]:
    health = ("active", "building", "stopped", "error", "deleting").index(instance.status)
    return (row is None or row.id != instance.id, health, instance.id)


def _adoptable(instance: Instance, wanted: Collection[str], rows: Collection[str], taken: Collection[str]) -> bool:
    name = instance.name
    return name in wanted and name not in rows and name not in taken and instance.status != "deleting"
