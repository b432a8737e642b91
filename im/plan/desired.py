"""Which nodes a topology asks for, by name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

from im.errors import InputError
from im.plan.match import place
from im.plan.model import Node, NodeState
from im.topology.model import NodeGroup, Topology


@dataclass(frozen=True, slots=True)
class DesiredNode:
    """One node that should exist."""

    name: str
    group: str
    index: int
    front_end: bool = False


def desired_nodes(topology: Topology, rows: Sequence[Node] = ()) -> tuple[DesiredNode, ...]:
    """Return the nodes that should exist, front-end first; who exists already stays as long as the counts allow.

    Raises :class:`im.errors.InputError` if two groups would give a node the same name, or none is the front-end.
    """
    groups = sorted(topology.groups, key=lambda group: not group.front_end)
    if [group.front_end for group in groups].count(True) != 1 or groups[0].count < 1:
        raise InputError("a topology needs exactly one front-end group with at least one node")
    nodes = [node for group in groups for node in _group_nodes(group, [row for row in rows if row.group == group.name])]
    _check_names(nodes, topology)
    return tuple(nodes)


def node_name(group: NodeGroup, index: int) -> str:
    """Return the host name of a group's node; a front-end that is alone has the name of its group."""
    stem = _stem(group.host_name or group.name)
    return stem if group.front_end and group.count == 1 else f"{stem}-{index}"


@cache
def _stem(name: str) -> str:
    """A group's name as the first part of a host name."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:55] or "node"


def scaled(topology: Topology, counts: Mapping[str, int]) -> Topology:
    """Return the topology with other counts. Raises :class:`im.errors.InputError` if a group cannot have that many."""
    known = {group.name for group in topology.groups}
    if unknown := sorted(set(counts) - known):
        raise InputError(f"there is no group {unknown[0]!r}", hint=f"groups: {', '.join(sorted(known))}")
    return replace(
        topology, groups=tuple(_with_count(group, counts.get(group.name, group.count)) for group in topology.groups)
    )


def request_of(group: NodeGroup) -> str:
    """Return a fingerprint of everything about a group that only a new server can change."""
    asked = (group.hardware, group.os, group.networks, group.public, group.ports, group.shared)
    later: tuple[object, ...] = (group.volumes, group.availability_zone, group.placement, group.boot_volume)
    later = (*later, group.user_data, group.key_pair)
    parts = (*asked, *(part for part in later if part))  # what nobody asks for does not change old fingerprints
    text = json.dumps([_changed_fields(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _group_nodes(group: NodeGroup, rows: Sequence[Node]) -> list[DesiredNode]:
    staying = _staying(group, rows)
    free = (index for index in range(1, group.count + len(rows) + 1) if index not in staying)
    indices = sorted([*staying, *(next(free) for _ in range(group.count - len(staying)))])
    first = 1 if group.front_end else 0
    return [DesiredNode(node_name(group, index), group.name, index, index == first) for index in indices]


def _staying(group: NodeGroup, rows: Sequence[Node]) -> set[int]:
    """Who stays when there are too many.

    The removal list (names, or ids of the cloud) goes first, then what is broken, then the highest index.
    """
    broken = {NodeState.DELETING, NodeState.FAILED, NodeState.LOST}
    unwanted = {*group.removal_list} - {""}
    always = {1} if group.front_end else set()
    others = sorted(
        (row for row in rows if row.index not in always and row.state is not NodeState.GONE),
        key=lambda row: (not unwanted.isdisjoint((row.name, row.id)), row.state in broken, row.index),
    )
    return {*always, *(row.index for row in others[: group.count - len(always)])}


def _with_count(group: NodeGroup, count: int) -> NodeGroup:
    if count == group.count:
        return group
    lowest = max(group.min_count, 1 if group.front_end else 0)
    if not lowest <= count <= group.max_count:
        hint = f"between {lowest} and {group.max_count}"
        raise InputError(f"group {group.name} cannot have {count} nodes", where=place(group), hint=hint)
    if group.front_end and 1 in {count, group.count}:
        raise InputError(
            f"the number of front-ends in {group.name} is part of their names and cannot change", where=place(group)
        )
    return replace(group, count=count)


def _check_names(nodes: Sequence[DesiredNode], topology: Topology) -> None:
    owner: dict[str, str] = {}
    for node in nodes:
        other = owner.setdefault(node.name, node.group)
        if other != node.group:
            group = topology.group(node.group)
            raise InputError(f"groups {other} and {node.group} both name a node {node.name!r}", where=place(group))


def _changed_fields(value: Any) -> Any:  # noqa: ANN401
    """A value as JSON without what is at its default, so that new fields of ours do not change old fingerprints."""
    if isinstance(value, tuple):
        return [_changed_fields(item) for item in value]
    if not is_dataclass(value):
        return value
    pairs = ((item.name, getattr(value, item.name), item.default) for item in fields(value))
    return {name: _changed_fields(held) for name, held, default in pairs if default is MISSING or held != default}
