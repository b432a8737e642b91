"""What an infrastructure needs around its servers: which networks, which way out, which open ports. Pure."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from im.errors import InputError
from im.providers.base import Environment
from im.providers.openstack.api import Json
from im.topology.model import Network, NodeGroup, Port

DEFAULT_NETWORK = "private"
"""What the network is called in whose place the template says nothing."""
_POOL = ipaddress.IPv4Network("10.64.0.0/10")
_SIZE = 20
SSH = Port(22, 22)


class Rule(NamedTuple):
    """One way into a security group."""

    protocol: str
    first: int | None
    last: int | None
    remote: str

    @property
    def family(self) -> str:
        """What neutron calls the IP version."""
        return "IPv6" if ":" in self.remote else "IPv4"

    def body(self, security_group: str) -> Json:
        """Return it as neutron wants it."""
        return {
            "security_group_id": security_group,
            "direction": "ingress",
            "ethertype": self.family,
            "protocol": self.protocol,
            "port_range_min": self.first,
            "port_range_max": self.last,
            "remote_ip_prefix": self.remote,
        }


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the networks of an infrastructure are to be.

    ``external``: where public addresses come from; None where the cloud has no such network. ``inner``: existing
    private networks by the template's names; ``direct``: external ones that servers are plugged into; ``new``: the
    address ranges of those to be made.
    """

    external: Json | None
    inner: Mapping[str, Json]
    direct: Mapping[str, Json]
    new: Mapping[str, str]


def scheme(environment: Environment, networks: Sequence[Json]) -> Scheme:
    """Return what an infrastructure wants of this cloud's networks. Raises :class:`im.errors.InputError`."""
    existing = [(wish, named(wish.existing, networks)) for wish in environment.networks if wish.existing]
    inner = {wish.name: one for wish, one in existing if not wish.public}
    direct = {wish.name: one for wish, one in existing if wish.public and not one.get("router:external")}
    new = [wish for wish in environment.networks if not wish.public and not wish.existing]
    if not (new or inner or direct):
        new = [Network(DEFAULT_NETWORK)]
    return Scheme(external_network(networks, environment), inner, direct, with_cidrs(new))


def external_network(networks: Sequence[Json], environment: Environment) -> Json | None:
    """Return the network that public addresses come from; None where the cloud has none.

    It is the one that the template names, the only one, or the one that the site has made the default. Raises
    :class:`im.errors.InputError` if there are several to choose from.
    """
    external = [one for one in networks if one.get("router:external")]
    for wanted in (network.existing for network in environment.networks if network.public and network.existing):
        found = named(wanted, networks)
        if found.get("router:external"):
            return found
    default = [one for one in external if one.get("is_default")]
    if len(external) > 1 and len(default) != 1:
        names = ", ".join(sorted(one["name"] for one in external))
        hint = f"give the public network of the template one of these as network_name: {names}"
        raise InputError(f"this cloud has {len(external)} external networks", hint=hint)
    return next(iter(default or external), None)


def named(wanted: str, networks: Sequence[Json]) -> Json:
    """Return the network of that name or id. Raises :class:`im.errors.InputError`."""
    found = [one for one in networks if wanted in {one["id"], one["name"]}]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one["id"] for one in found)
        raise InputError(f"this cloud has {len(found)} networks called {wanted!r}", hint=f"use an id: {ids}")
    names = sorted({one["name"] or one["id"] for one in networks})
    near = difflib.get_close_matches(wanted, names, n=3) or names[:8]
    raise InputError(f"this cloud has no network {wanted!r}", hint=f"it has: {', '.join(near) or 'none'}")


def check_key_pairs(wanted: Iterable[str], known: Collection[str]) -> None:
    """Raise :class:`im.errors.InputError` if the user has no key pair of one of these names."""
    if missing := sorted(set(wanted) - set(known)):
        near = difflib.get_close_matches(missing[0], known, n=3) or sorted(known)[:8]
        raise InputError(f"you have no key pair {missing[0]!r} here", hint=f"you have: {', '.join(near) or 'none'}")


def with_cidrs(networks: Iterable[Network]) -> dict[str, str]:
    """Return the address range of each network by name; those without one get a free one.

    Raises :class:`im.errors.InputError` if two overlap.
    """
    used: list[ipaddress.IPv4Network] = []
    chosen: dict[str, str] = {}
    for network in sorted(networks, key=lambda one: not one.cidr):
        own = _range(network.cidr) if network.cidr else _free(used)
        if clash := next((other for other in used if own.overlaps(other)), None):
            raise InputError(f"the range {own} of network {network.name} overlaps with {clash}", hint="change its cidr")
        used.append(own)
        chosen[network.name] = str(own)
    return chosen


def rules_of(group: NodeGroup) -> frozenset[Rule]:
    """Return what a group's own security group lets in: the template's ports, and SSH where we come from outside."""
    ports = [*group.ports, *([SSH] if group.public or group.front_end else [])]
    return frozenset(_rule(port) for port in ports)


def rule_of(shown: Json) -> Rule | None:
    """Return the rule that neutron shows, if it is one that we could have made for a group."""
    if shown["direction"] != "ingress" or not shown["remote_ip_prefix"]:
        return None
    return Rule(shown["protocol"], shown["port_range_min"], shown["port_range_max"], shown["remote_ip_prefix"])


def _rule(port: Port) -> Rule:
    remote = str(ipaddress.ip_network(port.remote_cidr, strict=False))
    if port.protocol.lower() in {"tcp", "udp", "sctp"}:
        return Rule(port.protocol.lower(), port.first, port.last, remote)
    return Rule(port.protocol.lower(), None, None, remote)


def _range(cidr: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(cidr, strict=False)
    except ValueError:
        raise InputError(f"{cidr!r} is not a range of IPv4 addresses", hint="such as 10.1.0.0/24") from None


def _free(used: Collection[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    candidates: Iterable[ipaddress.IPv4Network] = _POOL.subnets(new_prefix=_SIZE)
    free = next((own for own in candidates if not any(own.overlaps(other) for other in used)), None)
    if free is None:
        raise InputError(f"no range of addresses is free in {_POOL}", hint="give the networks a cidr")
    return free
