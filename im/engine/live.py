"""An infrastructure as its cloud shows it now, without writing anything down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from im.plan.model import InfrastructureState, Instance, Node, NodeState
from im.plan.observe import UP, bind, state_seen, updated
from im.store.repository import InfrastructureRecord


def as_seen(record: InfrastructureRecord, servers: Sequence[Instance]) -> InfrastructureRecord:
    """Return the record with the states that its nodes have in a listing; one that is ready may turn out degraded."""
    seen = bind(record.nodes, servers, ()).instances
    nodes = tuple(_live(node, seen.get(node.name)) for node in record.nodes)
    pairs = zip(nodes, record.nodes, strict=True)
    ended = [node.name for node, row in pairs if row.state in UP and node.state not in UP]
    if record.state in {InfrastructureState.READY, InfrastructureState.PROVISIONED} and ended:
        message = f"not running any more: {', '.join(ended)}"
        record = replace(record, state=InfrastructureState.DEGRADED, reason="lost", message=message)
    return replace(record, nodes=nodes)


def _live(node: Node, instance: Instance | None) -> Node:
    if instance is None or instance.status == "deleting":
        if node.state in UP | {NodeState.STOPPED}:
            message = "the cloud does not list this server"
            return replace(node, state=NodeState.LOST, reason="lost", message=message)
        return node
    state = state_seen(node, instance)
    told = instance.message if state in {NodeState.FAILED, NodeState.STOPPED} else ""
    return replace(updated(node, instance), state=state, message=told or node.message)
