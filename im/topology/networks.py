"""The networks of a template, which machine is on which, and the ports that are open from outside."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from im.topology.document import Map
from im.topology.model import Network, Port
from im.topology.values import boolean, integer
from im.topology.world import first, text_of

if TYPE_CHECKING:
    from im.topology.model import Mark
    from im.topology.nodes import NodeTemplate
    from im.topology.world import World

NETWORK: Final = "tosca.nodes.network.Network"
PORT: Final = "tosca.nodes.network.Port"
PRIVATE: Final = "private"
PUBLIC: Final = "public"
ANYWHERE: Final = Port(1, 1).remote_cidr


class Networks:
    """The networks that the template has or that its endpoints name, see ``found``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.found: dict[str, Network] = {node.name: _network(world, node) for node in world.of_type(NETWORK)}
        self._interfaces = self._read_interfaces()

    def _read_interfaces(self) -> dict[str, list[tuple[int, int, str]]]:
        """Return the order, index and network of the Port nodes of each machine."""
        found: dict[str, list[tuple[int, int, str]]] = {}
        for index, port in enumerate(self._world.of_type(PORT)):
            order = integer(self._world.property(port, "order")) or 0
            networks = [link.target for link in port.relations if link.target in self.found]
            for link in port.relations:
                if link.target not in self.found:
                    found.setdefault(link.target, []).extend((order, index, name) for name in networks)
        return found

    def of(self, node: NodeTemplate) -> tuple[tuple[str, ...], bool]:
        """Return the networks of a machine, and whether one is public.

        They come in the order of its ports; where it has no port, its endpoint says which.
        """
        names = [name for _, _, name in sorted(self._interfaces.get(node.name, ()))]
        names += [link.target for link in node.relations if link.target in self.found]
        if not names:
            names = self._of_endpoint(text_of(self._world.capability(node, "endpoint", "network_name")))
        names = list(dict.fromkeys(names))
        return tuple(names), any(self.found[name].public for name in names)

    def _of_endpoint(self, wanted: str) -> list[str]:
        """Return the networks that an endpoint wants.

        It says ``PUBLIC``, ``PRIVATE``, or a network of the cloud: ``name``, ``name.PUBLIC``, or ``name,pool``: on
        that network, with an address of that pool. A public machine is on the private one too.
        """
        wanted, _, pool = wanted.partition(",")
        if wanted.upper().endswith((".PUBLIC", ".PRIVATE")):
            name, _, kind = wanted.rpartition(".")
        else:
            name, kind = ("", wanted) if wanted.upper() in {"PUBLIC", "PRIVATE", ""} else (wanted, "")
        public = kind.upper() == "PUBLIC"
        if name and not public:
            inside, outside = Network(name, existing=name), pool
        else:
            inside, outside = Network(PRIVATE), name or pool or (PUBLIC if public else "")
        networks = [inside]
        if outside:
            networks.append(Network(outside, public=True, existing="" if outside == PUBLIC else outside))
        return [self.found.setdefault(network.name, network).name for network in networks]


def _network(world: World, node: NodeTemplate) -> Network:
    kind, name, identifier = (
        text_of(world.property(node, key)) for key in ("network_type", "network_name", "network_id")
    )
    cidr = _range(world, node)
    public = boolean(world.property(node, "public")) is True or kind.lower() == PUBLIC or name.upper() == "PUBLIC"
    existing = identifier or ("" if cidr or name.upper() in {"PUBLIC", "PRIVATE"} else name)
    return Network(node.name, public=public, cidr=cidr, existing=existing)


def _range(world: World, node: NodeTemplate) -> str:
    """Return the range of addresses that a network wants; with wildcards any free one, so none is asked for."""
    cidr = text_of(world.property(node, "cidr"))
    mark = node.properties.value_mark("cidr")
    if "*" in cidr:
        message = f"the range '{cidr}' of '{node.name}' is not searched for"
        world.findings.warning(mark, "ignored", message, "a free one is taken")
        return ""
    return cidr if not cidr or is_cidr(cidr, world, mark, f"the range of '{node.name}'") else ""


def is_cidr(text: str, world: World, mark: Mark, what: str) -> bool:
    """Tell whether ``text`` is a range of addresses; it is an error where it is none."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        world.findings.error(mark, "value-type", f"{what} must be a range of addresses, not '{text}'", "10.0.0.0/24")
        return False
    return True


def open_ports(world: World, node: NodeTemplate) -> tuple[Port, ...]:
    """Return the ports of a machine that its endpoint and its own ``ports`` open."""
    reader = _Ports(world, node)
    return tuple(dict.fromkeys(port for port in (*reader.of_endpoint(), *reader.of_property()) if port is not None))


class _Ports:
    def __init__(self, world: World, node: NodeTemplate) -> None:
        self._world = world
        self._node = node
        self._mark = node.mark

    def of_endpoint(self) -> list[Port | None]:
        endpoint = self._node.capabilities.get("endpoint")
        if endpoint is None:
            return []

        def say(name: str) -> object:
            return self._world.capability(self._node, "endpoint", name)

        self._mark = endpoint.values.value_mark("ports")
        ports = [self._port(content) for content in _items(say("ports"))]
        if say("port") is not None:
            self._mark = endpoint.values.value_mark("port")
            ports.append(self._made(say("port"), say("port"), text_of(say("protocol")), text_of(say("remote_cidr"))))
        return ports

    def of_property(self) -> list[Port | None]:
        self._mark = self._node.properties.value_mark("ports")
        return [self._port(content) for content in _items(self._world.property(self._node, "ports"))]

    def _port(self, content: object) -> Port | None:
        if not isinstance(content, Map):
            bounds = str(content).replace(":", "-").split("-")
            return self._made(bounds[0], bounds[-1], "", "")
        protocol, cidr = text_of(content.get("protocol")), text_of(content.get("remote_cidr"))
        if "port" in content:
            return self._made(content["port"], first(content.get("last"), content["port"]), protocol, cidr)
        keys = ("source_range", "source", "target_range", "target")
        wanted = first(*(content.get(key) for key in keys))
        if isinstance(wanted, list) and wanted:
            return self._made(wanted[0], wanted[-1], protocol, cidr)
        return self._made(wanted, wanted, protocol, cidr)

    def _made(self, first_port: object, last_port: object, protocol: str, cidr: str) -> Port | None:
        low, high = integer(first_port), integer(last_port)
        if low is None or high is None or not 1 <= low <= high <= 65535:
            message = f"'{self._node.name}' opens something that is no port"
            self._world.findings.error(self._mark, "value-type", message, "a port, or a range, from 1 to 65535")
            return None
        if cidr and not is_cidr(cidr, self._world, self._mark, f"who may reach the port {low} of '{self._node.name}'"):
            return None
        return Port(low, high, protocol.lower() or "tcp", cidr or ANYWHERE)


def _items(value: object) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
