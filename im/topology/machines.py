"""Compute node templates to node groups, with their networks, ports and shared folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from im.topology.document import Map, as_map
from im.topology.functions import Scope
from im.topology.model import Hardware, Network, NodeGroup, OperatingSystem, Port
from im.topology.units import size
from im.topology.values import boolean, integer, version_text

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.functions import Resolver
    from im.topology.model import Mark
    from im.topology.nodes import NodeTemplate
    from im.topology.relations import Nodes
    from im.topology.types import Types

COMPUTE: Final = "tosca.nodes.Compute"
NETWORK: Final = "tosca.nodes.network.Network"
VOLUME: Final = "tosca.nodes.BlockStorage"
PORT: Final = "tosca.nodes.network.Port"
SHARED: Final = "im.nodes.SharedDirectory"
FRONT_END: Final = "im.nodes.FrontEnd"
PRIVATE: Final = "private"
PUBLIC: Final = "public"


@dataclass(frozen=True, slots=True)
class World:
    """The template as far as it is read: what the last steps work on."""

    nodes: Nodes
    types: Types
    resolver: Resolver
    findings: Findings

    def is_a(self, node: NodeTemplate, kind: str) -> bool:
        """Tell whether a node's type is ``kind`` or derives from it."""
        return self.types.derives("node", node.type, kind)

    def of_type(self, kind: str) -> list[NodeTemplate]:
        """Return the nodes whose type is ``kind`` or derives from it."""
        return [node for node in self.nodes.values() if self.is_a(node, kind)]

    def property(self, node: NodeTemplate, name: str) -> object:
        """Return a property's value with its functions answered."""
        return self.resolver.resolve(node.properties.get(name), Scope(node.name), node.properties.value_mark(name))

    def capability(self, node: NodeTemplate, capability: str, name: str) -> object:
        """Return a capability property's value with its functions answered, see :func:`lower_bound`."""
        if capability not in node.capabilities:
            return None
        values = node.capabilities[capability].values
        value = self.resolver.resolve(values.get(name), Scope(node.name), values.value_mark(name))
        return lower_bound(value)

    def assigned(self, node: NodeTemplate, capability: str, name: str) -> bool:
        """Tell whether the template itself (not a default of the type) sets a capability's property."""
        body = as_map(as_map(as_map(node.body.get("capabilities")).get(capability)).get("properties"))
        return body.get(name) is not None


def lower_bound(value: object) -> object:
    """Return the number in a condition that stands for one (``{greater_or_equal: 4}``), else the value itself."""
    if isinstance(value, dict) and len(value) == 1:
        operator, argument = next(iter(value.items()))
        if operator in {"equal", "greater_or_equal"}:
            return cast("object", argument)
        if operator == "in_range" and isinstance(argument, list) and argument:
            return cast("object", argument[0])
    return value


def read_groups(world: World) -> tuple[tuple[NodeGroup, ...], tuple[Network, ...]]:
    """Return the node groups, one of them the front-end, and the networks that they are on."""
    _warn_of_volumes(world)
    networks: dict[str, Network] = {node.name: _network(world, node) for node in world.of_type(NETWORK)}
    groups = [_group(world, node, networks) for node in world.of_type(COMPUTE)]
    return _with_front_end(world, groups), tuple(networks.values())


def _warn_of_volumes(world: World) -> None:
    for node in world.of_type(VOLUME):
        if size(world.property(node, "size")):
            world.findings.warning(node.mark, "ignored", f"the volume '{node.name}' is not made", "use the root disk")


def _group(world: World, node: NodeTemplate, networks: dict[str, Network]) -> NodeGroup:
    names, public = _attachments(world, node, networks)
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
        ports=_ports(world, node),
        works=boolean(world.property(node, "works")) is not False,
        shared=tuple(sorted({str(world.property(world.nodes[link.target], "path")) for link in node.relations
                             if link.target and world.is_a(world.nodes[link.target], SHARED)})),
        on_failure=_on_failure(world.property(node, "on_failure")),
        removal_list=_texts(world.capability(node, "scalable", "removal_list")),
        mark=node.mark,
    )  # fmt: skip


def _on_failure(value: object) -> Literal["keep", "replace", "abort"]:
    return "replace" if value == "replace" else "abort" if value == "abort" else "keep"


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _first(*values: object) -> object:
    return next((value for value in values if value not in (None, "")), None)


def _count(world: World, node: NodeTemplate, low: int, high: int) -> int:
    values = [world.property(node, "count")]
    values += [world.capability(node, "scalable", name) for name in ("count", "default_instances")]
    count = integer(_first(*values))
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
        return _first(world.property(node, name), *(world.capability(node, "host", other) for other in capability))

    return Hardware(
        cpus=max(integer(wanted("cpus", "num_cpus")) or 1, 1),
        memory=size(wanted("memory", "mem_size")) or 0,
        disk=size(wanted("disk", "disk_size")) or 0,
        gpus=integer(wanted("gpus", "num_gpus")) or 0,
        flavor=_text(wanted("flavor", "instance_type")),
    )


def _text(value: object) -> str:
    return version_text(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _operating_system(world: World, node: NodeTemplate) -> OperatingSystem:
    names = ("architecture", "type", "distribution", "version")
    values = {name: _text(world.capability(node, "os", name)) for name in names}
    image = _text(_first(world.property(node, "image"), world.capability(node, "os", "image")))
    return OperatingSystem(image=image_name(image), **values)


def image_name(reference: str) -> str:
    """Return the id in IM's references (``ost://cloud.example.org/id``), any other name as it is."""
    scheme, separator, rest = reference.partition("://")
    return rest.rpartition("/")[2] if separator and scheme == "ost" else reference


def _network(world: World, node: NodeTemplate) -> Network:
    kind, name, cidr, identifier = (
        _text(world.property(node, key)) for key in ("network_type", "network_name", "cidr", "network_id")
    )
    public = boolean(world.property(node, "public")) is True or kind.lower() == PUBLIC or name.upper() == "PUBLIC"
    existing = identifier or ("" if cidr or name.upper() in {"PUBLIC", "PRIVATE"} else name)
    return Network(node.name, public=public, cidr=cidr, existing=existing)


def _attachments(world: World, node: NodeTemplate, networks: dict[str, Network]) -> tuple[tuple[str, ...], bool]:
    """Return the networks of a machine, and whether one is public.

    They come in the order of its ports; where it has no port, its endpoint says which.
    """
    ports = sorted(
        (integer(world.property(port, "order")) or 0, index, link.target)
        for index, port in enumerate(world.of_type(PORT))
        if any(other.target == node.name for other in port.relations)
        for link in port.relations
        if link.target in networks
    )
    names = [name for _, _, name in ports] + [link.target for link in node.relations if link.target in networks]
    if not names:
        names = _endpoint_networks(_text(world.capability(node, "endpoint", "network_name")), networks)
    names = list(dict.fromkeys(names))
    return tuple(names), any(networks[name].public for name in names)


def _endpoint_networks(wanted: str, networks: dict[str, Network]) -> list[str]:
    """Return the networks that an endpoint wants.

    It says ``PUBLIC``, ``PRIVATE``, or a network of the cloud: ``name``, ``name.PUBLIC``, ``name,pool``. A public
    machine is on the private one too.
    """
    name, _, kind = (
        wanted.partition(",")[0].rpartition(".")
        if wanted.upper().endswith((".PUBLIC", ".PRIVATE"))
        else (wanted, "", wanted)
    )
    public = kind.upper() == "PUBLIC"
    own = name if name.upper() not in {"PUBLIC", "PRIVATE", ""} else ""
    own = own.partition(",")[0]
    if own and not public:
        networks.setdefault(own, Network(own, existing=own))
        return [own]
    networks.setdefault(PRIVATE, Network(PRIVATE))
    if not public:
        return [PRIVATE]
    outside = own or PUBLIC
    networks.setdefault(outside, Network(outside, public=True, existing=own))
    return [PRIVATE, outside]


def _ports(world: World, node: NodeTemplate) -> tuple[Port, ...]:
    ports = [_port(content) for content in _values(world.capability(node, "endpoint", "ports"))]
    single = integer(world.capability(node, "endpoint", "port"))
    if single is not None:
        ports.append(Port(single, single, _text(world.capability(node, "endpoint", "protocol")) or "tcp"))
    ports += [_port(content) for content in _values(world.property(node, "ports"))]
    return tuple(dict.fromkeys(port for port in ports if port is not None))


def _values(value: object) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def _port(content: object) -> Port | None:
    if not isinstance(content, Map):
        return _port_range(content, "tcp", "")
    wanted = _first(
        content.get("source_range"), content.get("source"), content.get("target_range"), content.get("target")
    )
    return _port_range(wanted, _text(content.get("protocol")) or "tcp", _text(content.get("remote_cidr")))


def _port_range(wanted: object, protocol: str, cidr: str) -> Port | None:
    bounds = wanted if isinstance(wanted, list) else str(wanted).replace(":", "-").split("-")
    numbers = [integer(bound) for bound in (bounds[0], bounds[-1])] if bounds else [None, None]
    first, last = numbers
    if first is None or last is None:
        return None
    return Port(first, last, protocol.lower(), cidr or Port(1, 1).remote_cidr)


def _with_front_end(world: World, groups: list[NodeGroup]) -> tuple[NodeGroup, ...]:
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
