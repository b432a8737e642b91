"""Which subnet an infrastructure gets, and which address a node gets in it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError, collapse_addresses
from itertools import islice
from typing import Any

from im.errors import AddressInUse, InputError, NoCapacity

_SIZE = 24


def occupied(routes: Sequence[Mapping[str, Any]], addresses: Sequence[Mapping[str, Any]], own: str) -> set[IPv4Network]:
    """Return the networks that this machine reaches already, from ``ip -json`` output, without the link ``own``."""
    found = set()
    for route in routes:
        if route.get("dev") != own and route["dst"] != "default":
            found.add(IPv4Network(route["dst"], strict=False))
    for link in addresses:
        if link.get("ifname") != own:
            found |= {
                IPv4Network(f"{one['local']}/{one['prefixlen']}", strict=False)
                for one in link.get("addr_info", ())
                if one.get("family") == "inet"
            }
    return {network for network in found if network.prefixlen > 0}


def choose(pool: str, taken: Collection[IPv4Network]) -> IPv4Network:
    """Return the first subnet of the pool that overlaps nothing. Raises :class:`im.errors.AddressInUse`."""
    for subnet in _candidates(network(pool, "IM_LOCAL_SUBNETS")):
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise AddressInUse(
        f"no subnet of {pool} is free on this machine",
        where="local",
        hint="set IM_LOCAL_SUBNETS to a private range that this machine does not use",
    )


def demand(wanted: IPv4Network, taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the wanted subnet if it is free. Raises :class:`im.errors.AddressInUse`."""
    if rivals := list(collapse_addresses(other for other in taken if wanted.overlaps(other))):
        raise AddressInUse(
            f"the address range {wanted} is in use on this machine by {', '.join(map(str, rivals))}",
            where="local",
            hint="choose another range, or remove what uses this one",
        )
    return wanted


def network(text: str, where: str) -> IPv4Network:
    """Return an IPv4 network with room for nodes. Raises :class:`im.errors.InputError`."""
    try:
        found = IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise InputError(f"{text!r} is not an IPv4 network", where=where, hint="write it as 10.77.0.0/16") from error
    if found.prefixlen > 30:
        raise InputError(f"{text} has no room for a node", where=where, hint="a /30 is the smallest that has")
    return found


def free_addresses(subnet: IPv4Network, used: Collection[str], count: int) -> tuple[str, ...]:
    """Return addresses for new nodes: the lowest free ones after the router's. Raises :class:`im.errors.NoCapacity`."""
    hosts: Iterator[IPv4Address] = islice(subnet.hosts(), 1, None)
    found = tuple(islice((str(host) for host in hosts if str(host) not in used), count))
    if len(found) < count:
        raise NoCapacity(
            f"the subnet {subnet} has {len(found)} free addresses, and {count} nodes need one",
            where="local",
            hint="ask for fewer nodes, or set IM_LOCAL_SUBNETS to a range with larger subnets",
        )
    return found


def router(subnet: IPv4Network) -> str:
    """Return the address of this machine in the subnet: its first."""
    return str(next(subnet.hosts()))


def link(address: str) -> str:
    """Return the name of a node's link at the bridge."""
    return "n" + "".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def mac(address: str) -> str:
    """Return the hardware address of a node: the same after a restart, so that neighbours' tables stay right."""
    return "02:69:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def _candidates(pool: IPv4Network) -> Iterator[IPv4Network]:
    return iter([pool]) if pool.prefixlen >= _SIZE else pool.subnets(new_prefix=_SIZE)
