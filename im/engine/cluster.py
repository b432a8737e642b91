"""The live nodes of an infrastructure as one value for SSH, Ansible and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from im.engine.world import World
from im.plan.model import Cluster, Node
from im.providers.base import Capability
from im.store.repository import InfrastructureRecord
from im.topology.model import Topology


def cluster_of(world: World, record: InfrastructureRecord, topology: Topology, nodes: Sequence[Node]) -> Cluster:
    """Return the cluster that these nodes make, front-end first."""
    order = {group.name: place for place, group in enumerate(topology.groups)}
    ordered = sorted(nodes, key=lambda node: (not node.front_end, order.get(node.group, 0), node.index))
    return Cluster(
        infrastructure=record.id,
        name=record.name,
        user=topology.user,
        keys=str(world.keys(record.id).folder),
        nodes=tuple(with_slots(topology, ordered)),
        shared=tuple(dict.fromkeys(folder for group in topology.groups for folder in group.shared)),
        via_front_end=Capability.DIRECT not in world.provider.capabilities,
        engines=_engines(topology),
        variables={
            "im_shared_cores": Capability.SHARED_CORES in world.provider.capabilities,
            "im_nfs": Capability.SHARED_DIRECTORY not in world.provider.capabilities,
        },
        jump_host=world.jump_host,
    )


def with_slots(topology: Topology, nodes: Sequence[Node]) -> list[Node]:
    """MPI ranks run where a group works; if none does, on the front-end."""
    working = {group.name for group in topology.groups if group.works and group.count}
    takes = (lambda node: node.group in working) if working else (lambda node: node.front_end)
    wanted = [node.cpus if takes(node) else 0 for node in nodes]
    return [
        node if node.slots == slots else replace(node, slots=slots) for node, slots in zip(nodes, wanted, strict=True)
    ]


def _engines(topology: Topology) -> tuple[str, ...]:
    engines = (str(software.provides.get("container_engine", {}).get("engine", "")) for software in topology.software)
    return tuple(dict.fromkeys(engine for engine in engines if engine))
