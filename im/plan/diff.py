"""What has to happen so that the cloud has what the topology says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from im.errors import InputError
from im.plan.desired import DesiredNode, desired_nodes, request_of
from im.plan.match import Match, match, place
from im.plan.model import Action, ActionKind, Catalog, Instance, Node, NodeState, Plan
from im.plan.observe import Binding, bind, state_seen
from im.topology.model import NodeGroup, Topology


@dataclass(frozen=True, slots=True)
class _Context:
    groups: Mapping[str, NodeGroup]
    matches: Mapping[str, Match]
    requests: Mapping[str, str]
    rows: Mapping[str, Node]
    binding: Binding
    leave: Collection[str]


def diff(
    infrastructure: str,
    topology: Topology,
    rows: Sequence[Node],
    instances: Sequence[Instance],
    catalog: Catalog,
    *,
    digest: str | None = None,
    leave: Collection[str] = (),
) -> Plan:
    """Return what a deploy of ``topology`` would do to the nodes in ``rows``, given what the cloud lists now.

    ``digest``: nodes that were configured with another one are configured again; None: it is not known yet. ``leave``:
    names of nodes that stay as they are, whatever their state. Raises what :func:`im.plan.match.match` raises, and
    :class:`im.errors.InputError` for a change that would cost the front-end.
    """
    wanted = desired_nodes(topology, rows)
    names = {node.name for node in wanted}
    groups = {group.name: group for group in topology.groups}
    matches = {group.name: match(group, catalog) for group in topology.groups if group.count}
    requests = {group.name: request_of(group) for group in topology.groups}
    context = _Context(groups, matches, requests, {row.name: row for row in rows}, bind(rows, instances, names), leave)
    _protect_front_end(rows, names, context)
    steps = [_wanted(node, context) for node in wanted]
    steps += [_action("delete", row, "not wanted any more") for row in rows if row.name not in names]
    steps += [
        Action("delete", stray.name, stray.group, f"server {stray.id} is one too many")
        for stray in context.binding.strays
    ]
    return Plan(infrastructure, _with_configuration(steps, context, digest))


def _wanted(node: DesiredNode, context: _Context) -> Action:
    row = context.rows.get(node.name)
    if row and node.name in context.leave:
        return _action("keep", row, row.message)
    kind, reason = _verdict(node, row, context)
    if kind in {"create", "replace"}:
        found = context.matches[node.group]
        size = found.flavor
        return Action(kind, node.name, node.group, reason, found.image.id, size.id, size.cpus, size.memory)
    return _action(kind, row, reason) if row else Action(kind, node.name, node.group, reason)


def _verdict(node: DesiredNode, row: Node | None, context: _Context) -> tuple[ActionKind, str]:
    instance = context.binding.instances.get(node.name)
    if row is None:
        found = any(server.name == node.name for server in context.binding.adopted)
        return ("keep", "found by its mark") if found else ("create", "")
    if instance is None and row.state is not NodeState.DELETING:
        return ("create", _absence(row))
    state = state_seen(row, instance) if instance else row.state
    if row.request and row.request != context.requests[node.group]:
        return ("replace", "the template asks for something else")
    return _verdict_on(state, row, instance.message if instance else "")


def _verdict_on(state: NodeState, row: Node, message: str) -> tuple[ActionKind, str]:
    match state:
        case NodeState.FAILED if row.front_end and row.configured:
            return ("keep", message or row.message)  # the users' data may still be saved
        case NodeState.FAILED:
            return ("replace", message or row.message or "it failed")
        case NodeState.DELETING:
            return ("replace", "its deletion has begun")
        case NodeState.STOPPED:
            return ("start", "it is stopped")
        case _:
            return ("keep", "")


def _absence(row: Node) -> str:
    if row.state is NodeState.FAILED and not row.id:
        return f"last time: {row.message}" if row.message else "it could not be created"
    return "it is not there any more" if row.id else "requested, but not there yet"


def _protect_front_end(rows: Sequence[Node], names: Collection[str], context: _Context) -> None:
    """A front-end that has been configured holds the users' data: no change of a template may cost it."""
    for row in rows:
        if not (row.front_end and row.configured):
            continue
        if row.name not in names:
            raise InputError(
                f"this would delete the front-end {row.name}",
                hint="delete the infrastructure first, or use another name",
            )
        group = context.groups[row.group]
        if row.request and row.request != context.requests[row.group]:
            hint = "only a new server could change that; delete the infrastructure first, or use another name"
            raise InputError(
                f"this would replace the front-end {row.name} and lose its data", where=place(group), hint=hint
            )


def _with_configuration(steps: Sequence[Action], context: _Context, digest: str | None) -> tuple[Action, ...]:
    members_change = any(step.kind in {"create", "delete", "replace"} for step in steps)
    return tuple(_configured(step, context, digest, members_change) for step in steps)


def _configured(step: Action, context: _Context, digest: str | None, members_change: bool) -> Action:  # noqa: FBT001
    row = context.rows.get(step.node)
    if step.kind != "keep" or row is None or step.node in context.leave:
        return step
    reason = _configuration_reason(row, digest, members_change)
    return _action("configure", row, reason) if reason else step


def _configuration_reason(row: Node, digest: str | None, members_change: bool) -> str:  # noqa: FBT001
    if not row.configured:
        return "not configured yet"
    if members_change:
        return "the members change"
    if digest is not None and digest != row.configured:
        return "its software or its settings change"
    return "" if row.state is NodeState.READY else "not known to be ready"


def _action(kind: ActionKind, row: Node, reason: str = "") -> Action:
    return Action(kind, row.name, row.group, reason, row.image, row.flavor, row.cpus, row.memory)
