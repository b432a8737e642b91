"""Which infrastructure and which nodes a command means, and whether it may have them."""

from __future__ import annotations

import re
import secrets

from im.errors import InputError, UnknownName
from im.plan.model import InfrastructureState, Node
from im.store.repository import InfrastructureRecord
from im.topology.model import Topology

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")


def new_record(name: str, cloud: str) -> InfrastructureRecord:
    """Return a record with an id of its own. Raises :class:`im.errors.InputError` for a name that is not fit."""
    if not NAME.fullmatch(name):
        hint = "letters, digits, and - _ . after the first; at most 60"
        raise InputError(f"{name!r} cannot be the name of an infrastructure", hint=hint)
    return InfrastructureRecord(secrets.token_hex(4), name, cloud)


def check_cloud(record: InfrastructureRecord, cloud: str) -> None:
    """Raise unless the infrastructure may be worked on, and is on that cloud."""
    check_alive(record)
    if record.cloud != cloud:
        hint = "delete it first, or use another name"
        raise InputError(f"{record.name} is on cloud {record.cloud}, not on {cloud}", hint=hint)


def check_alive(record: InfrastructureRecord) -> None:
    """Raise if the infrastructure is being deleted."""
    if record.state is InfrastructureState.DELETING:
        hint = f"finish that first: im_client delete {record.name}"
        raise InputError(f"the deletion of {record.name} has begun", hint=hint)


def topology_of(record: InfrastructureRecord) -> Topology:
    """Return the template of an infrastructure."""
    if record.topology is None:
        raise InputError(f"no template is known for {record.name}", hint="deploy it with its template")
    return record.topology


def chosen_nodes(record: InfrastructureRecord, node: str | None) -> tuple[Node, ...]:
    """Return one node by name, or all."""
    rows = tuple(row for row in record.nodes if node in {None, row.name})
    if node and not rows:
        hint = f"nodes: {', '.join(row.name for row in record.nodes)}"
        raise UnknownName(f"{record.name} has no node {node!r}", hint=hint)
    return rows
