"""From reachable nodes to a cluster that works as one: configure, prove, and tell the outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from im.engine.cluster import cluster_of
from im.engine.journal import Journal, Move
from im.engine.reconcile import AT_REST
from im.engine.world import World
from im.errors import ImError
from im.plan.model import Cluster, InfrastructureState, Node, NodeState
from im.plan.observe import UP
from im.topology.model import Topology


def complete(world: World, journal: Journal, topology: Topology, *, prepared: bool = False) -> None:
    """Configure the nodes that run, unless they are already as they should be, and prove that they work as one.

    A node that was started again is not: where no service manager does it, what the recipes began is not running.
    ``prepared``: the front-end has its tools. What fails leaves all nodes up, for the same command to continue.
    """
    nodes = [node for node in journal.nodes.values() if node.state in UP]
    cluster = cluster_of(world, journal.record, topology, nodes)
    digest = world.contextualizer.digest(cluster, topology)
    configured = all(node.configured == digest and node.state is NodeState.READY for node in nodes)
    if not (configured and journal.record.state in AT_REST):
        _work(world, journal, topology, cluster, configured=configured, prepared=prepared)
        _ready(journal, cluster, digest)
    _rest(journal, topology, cluster)


def rest_provisioned(world: World, journal: Journal, topology: Topology) -> None:
    """Come to rest with servers that run and have their addresses; one that is ready and did not change stays ready."""
    nodes = [node for node in journal.nodes.values() if node.state in UP]
    cluster = cluster_of(world, journal.record, topology, nodes)
    ready = journal.record.state is InfrastructureState.READY and all(node.state is NodeState.READY for node in nodes)
    _rest(journal, topology, cluster, InfrastructureState.READY if ready else InfrastructureState.PROVISIONED)


def _work(
    world: World, journal: Journal, topology: Topology, cluster: Cluster, *, configured: bool, prepared: bool
) -> None:
    journal.enter(InfrastructureState.CONFIGURING)
    _move(journal, cluster, NodeState.CONFIGURING)
    contextualizer = world.contextualizer
    try:
        if not configured:
            if not prepared:
                contextualizer.prepare(cluster, journal.tell)
            contextualizer.configure(cluster, topology, journal.tell)
        contextualizer.preflight(cluster, topology, journal.tell)
    except ImError as error:
        _move(journal, cluster, NodeState.REACHABLE, error.code, configured="")
        raise


def _ready(journal: Journal, cluster: Cluster, digest: str) -> None:
    slots = {node.name: node.slots for node in cluster.nodes}
    rows = [journal.nodes[name] for name in slots]
    journal.advance([Move(replace(row, configured=digest, slots=slots[row.name]), NodeState.READY) for row in rows])


def _move(journal: Journal, cluster: Cluster, to: NodeState, reason: str = "", **changes: str) -> None:
    rows = [replace(journal.nodes[node.name], **changes) for node in cluster.nodes]  # type: ignore[arg-type]
    journal.advance([Move(row, to, reason) for row in rows])


def _rest(
    journal: Journal, topology: Topology, cluster: Cluster, complete: InfrastructureState = InfrastructureState.READY
) -> None:
    """Come to rest: ``complete``, or degraded with the reason; write nothing if nothing is new."""
    missing = [node for node in journal.nodes.values() if node.state not in UP]
    state = InfrastructureState.DEGRADED if missing else complete
    outputs = _outputs(journal, topology, cluster)
    reason, message = _shortfall(missing)
    before = journal.record
    if (before.state, before.message) != (state, message):
        journal.enter(state, reason, message, outputs=outputs)
    elif dict(before.outputs) != outputs:
        journal.amend(outputs=outputs)


def _shortfall(missing: Sequence[Node]) -> tuple[str, str]:
    if not missing:
        return "", ""
    texts = [f"{node.name} is {node.state}" + (f": {node.message}" if node.message else "") for node in missing]
    return missing[0].reason or str(missing[0].state), "; ".join(texts)


def _outputs(journal: Journal, topology: Topology, cluster: Cluster) -> Mapping[str, object]:
    if not topology.outputs:
        return {}
    from im.contextualize.attributes import attributes
    from im.topology.functions import evaluate

    known = attributes(cluster, topology)
    values: dict[str, Any] = {}
    for output in topology.outputs:
        try:
            values[output.name] = evaluate(output.value, known)
        except ImError as error:
            journal.note("configure", "note", "output", f"output {output.name} has no value: {error}")
    return cast(dict[str, object], json.loads(json.dumps(values, default=str)))
