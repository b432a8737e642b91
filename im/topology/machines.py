"""Compute node templates to node groups, one of them the front-end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from im.topology.document import Map
from im.topology.model import Hardware, Network, NodeGroup, OperatingSystem
from im.topology.networks import Networks, open_ports
from im.topology.policies import placement_of, with_policies
from im.topology.unheeded import check_unheeded
from im.topology.units import size
from im.topology.values import boolean, integer
from im.topology.volumes import check_volumes, volumes_of
from im.topology.world import COMPUTE, first, text_of, texts_of

if TYPE_CHECKING:
    from im.topology.model import Mark
    from im.topology.nodes import NodeTemplate
    from im.topology.world import World

SHARED: Final = "im.nodes.SharedDirectory"
FRONT_END: Final = "im.nodes.FrontEnd"


def read_groups(world: World, topology: Map) -> tuple[tuple[NodeGroup, ...], tuple[Network, ...]]:
    """Return the node groups, one of them the front-end, and the networks that they are on."""
    check_volumes(world)
    check_unheeded(world, topology)
    networks = Networks(world)
    groups = tuple(_group(world, node, networks) for node in world.of_type(COMPUTE))
    return _with_front_end(world, with_policies(world, topology, groups)), tuple(networks.found.values())


def _group(world: World, node: NodeTemplate, networks: Networks) -> NodeGroup:
    names, public = networks.of(node)
    low, high = _limits(world, node)
    count = _count(world, node, low, high)
    return NodeGroup(
        name=node.name,
        type=node.type,
        count=count,
        min_count=low,
        max_count=high,
        hardware=_hardware(world, node),
        os=_operating_system(world, node),
        networks=names,
        public=public,
        ports=open_ports(world, node),
        works=boolean(world.property(node, "works")) is not False,
        shared=tuple(sorted({str(world.property(world.nodes[link.target], "path")) for link in node.relations
                             if link.target and world.is_a(world.nodes[link.target], SHARED)})),
        on_failure=_on_failure(world.property(node, "on_failure")),
        removal_list=texts_of(world.capability(node, "scalable", "removal_list")),
        volumes=volumes_of(world, node, count),
        availability_zone=text_of(world.property(node, "availability_zone")),
        placement=placement_of(text_of(world.property(node, "placement"))),
        boot_volume=size(world.property(node, "boot_volume")) or 0,
        user_data=text_of(world.property(node, "user_data")),
        key_pair=text_of(world.property(node, "key_pair")),
        host_name=_host_name(world, node),
        mark=node.mark,
    )  # fmt: skip


def _host_name(world: World, node: NodeTemplate) -> str:
    """Return the first part of an endpoint's ``dns_name``; ``#N#`` in it is IM's way to say the node's number."""
    name = text_of(world.capability(node, "endpoint", "dns_name"))
    return name.partition(".")[0].replace("#N#", "").strip("-_")


def _on_failure(value: object) -> Literal["keep", "replace", "abort"]:
    return "replace" if value == "replace" else "abort" if value == "abort" else "keep"


def _count(world: World, node: NodeTemplate, low: int, high: int) -> int:
    values = [world.property(node, "count")]
    values += [world.capability(node, "scalable", name) for name in ("count", "default_instances")]
    count = integer(first(*values))
    if count is None:
        count = max(low, 1)
    elif count < 0 or not low <= count <= high:
        message = f"'{node.name}' wants {count} nodes, but must have {low} to {high}"
        world.findings.error(_count_mark(node), "constraint", message)
    return count


def _count_mark(node: NodeTemplate) -> Mark:
    if "count" in node.properties:
        return node.properties.value_mark("count")
    scalable = node.capabilities.get("scalable")
    for name in ("count", "default_instances"):
        if scalable is not None and name in scalable.values:
            return scalable.values.value_mark(name)
    return node.mark


def _limits(world: World, node: NodeTemplate) -> tuple[int, int]:
    """Return the fewest and the most nodes that the template itself wants.

    A type's default does not count: TOSCA's own, one instance, would forbid every cluster.
    """
    low = integer(world.property(node, "min_count"))
    high = integer(world.property(node, "max_count"))
    if low is None and world.assigned(node, "scalable", "min_instances"):
        low = integer(world.capability(node, "scalable", "min_instances"))
    if high is None and world.assigned(node, "scalable", "max_instances"):
        high = integer(world.capability(node, "scalable", "max_instances"))
    return (low or 0), (NodeGroup(node.name).max_count if high is None else high)


def _hardware(world: World, node: NodeTemplate) -> Hardware:
    def wanted(name: str, *capability: str) -> object:
        return first(world.property(node, name), *(world.capability(node, "host", other) for other in capability))

    return Hardware(
        cpus=max(integer(wanted("cpus", "num_cpus")) or 1, 1),
        memory=size(wanted("memory", "mem_size")) or 0,
        disk=size(wanted("disk", "disk_size")) or 0,
        gpus=integer(wanted("gpus", "num_gpus")) or 0,
        flavor=text_of(wanted("flavor", "instance_type")),
    )


def _operating_system(world: World, node: NodeTemplate) -> OperatingSystem:
    names = ("architecture", "type", "distribution", "version")
    values = {name: text_of(world.capability(node, "os", name)) for name in names}
    image = text_of(first(world.property(node, "image"), world.capability(node, "os", "image")))
    return OperatingSystem(image=image_name(image), **values)


def image_name(reference: str) -> str:
    """Return the id in IM's references (``ost://cloud.example.org/id``), any other name as it is."""
    scheme, separator, rest = reference.partition("://")
    return rest.rpartition("/")[2] if separator and scheme == "ost" else reference


def _with_front_end(world: World, groups: tuple[NodeGroup, ...]) -> tuple[NodeGroup, ...]:
    """Mark the front-end.

    It is our own FrontEnd, else the first public group that has a node, else the first that has one, else the first.
    """
    own = [group for group in groups if world.types.derives("node", group.type, FRONT_END)]
    for other in own[1:]:
        world.findings.error(
            other.mark, "front-end", f"'{other.name}' is a second front-end", f"'{own[0].name}' is the first"
        )
    alive = [group for group in groups if group.count]
    chosen = next(iter([*own, *(group for group in alive if group.public), *alive, *groups]), None)
    if chosen is not None and chosen in own and chosen.count != 1:
        world.findings.error(
            chosen.mark, "front-end", f"the front-end '{chosen.name}' must be one node, not {chosen.count}"
        )
    working = any(group.works and group.count for group in groups)
    return tuple(
        replace(group, front_end=True, works=group.works or not working) if group is chosen else group
        for group in groups
    )
