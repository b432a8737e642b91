"""Refuses what cannot be had before anything of it is created."""

from __future__ import annotations

from collections.abc import Sequence

from im.engine.world import World
from im.plan.desired import node_name
from im.plan.diff import diff
from im.plan.model import Catalog, Instance, Plan
from im.plan.named import check_named
from im.plan.quota import check_quota, needs
from im.providers.base import Capability
from im.store.repository import InfrastructureRecord
from im.topology.model import NodeGroup, Topology


def admitted(
    world: World,
    record: InfrastructureRecord | None,
    name: str,
    topology: Topology,
    catalog: Catalog,
    *,
    seen: Sequence[Instance],
    digest: str | None = None,
) -> Plan:
    """Return what has to be done; ``record`` is None for a new infrastructure, ``seen`` are its servers as listed now.

    Raises if the cloud does not have what the nodes to be created ask for, or if the account may not have so much.
    """
    rows = record.nodes if record else ()
    plan = diff(name, topology, rows, seen, catalog, digest=digest)
    made = [action for action in plan.actions if action.kind in {"create", "replace"}]
    groups = [group for group in topology.groups if any(action.group == group.name for action in made)]
    first = node_name(topology.front_end, 1)
    public = {
        action.node
        for action in made
        if wants_public(world, topology.group(action.group), front_end=action.node == first)
    }
    volumes = Capability.VOLUMES in world.provider.capabilities
    check_named(groups, topology, catalog, volumes=volumes, public=bool(public))
    wanted = needs(made, topology, rows, public, new=record is None)
    check_quota(wanted, catalog, f"cloud {world.provider.name}")
    return plan


def wants_public(world: World, group: NodeGroup, *, front_end: bool) -> bool:
    """Tell whether a node should have a public address: as the template says, or because it is the only way in."""
    capabilities = world.provider.capabilities
    if Capability.PUBLIC_ADDRESS not in capabilities:
        return False
    only_way_in = front_end and Capability.DIRECT not in capabilities and not world.jump_host
    return group.public or only_way_in
