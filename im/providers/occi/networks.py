"""Which networks a server is on, and its way out: the site's own networks, private ones of ours, public addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from im.errors import InputError, ProviderError, ProviderUnavailable
from im.plan.model import CloudNetwork
from im.providers.base import Environment
from im.providers.occi.client import Client
from im.providers.occi.dialects import Dialect
from im.providers.occi.faults import Missing
from im.providers.occi.instances import ADDRESS, addresses_of, is_floating
from im.providers.occi.marks import NetworkMark, network_mark
from im.providers.occi.model import (
    COMPUTE,
    IP_NETWORK,
    IP_RESERVATION,
    NETWORK,
    NETWORK_INTERFACE,
    SOURCE,
    TARGET,
    TITLE,
    Resource,
)
from im.topology.model import Network

POOLS = "http://schemas.openstack.org/network#floatingippool"
CIDR = "occi.network.address"
RESERVED = "occi.ipreservation.address"
USED = "occi.ipreservation.used"
DEFAULT_CIDR = "192.168.96.0/24"


class Networks:
    """The networks of one site. Remembers what ``prepare`` found, and which addresses it reserved."""

    def __init__(self, client: Client, default: str, *, make: bool) -> None:
        self._client = client
        self._default = default
        self._make = make
        self._prepared: dict[str, Mapping[str, str]] = {}
        self._default_at = ""
        self._reservations: dict[str, str] = {}

    def offered(self) -> tuple[CloudNetwork, ...]:
        """Return the networks that are not ours."""
        dialect = self._client.site.dialect
        return tuple(
            CloudNetwork(one.id, one.title or one.id, external=_is_outside(one, dialect), cidrs=_cidrs(one))
            for one in self._listing()
            if network_mark(one.title) is None
        )

    def prepare(self, environment: Environment) -> None:
        """Find the networks that the template names, and make its private ones where that is wanted."""
        private = [one for one in environment.networks if not one.public]
        if not any(one.existing or self._make for one in private):
            return
        listed = self._listing()
        found = ((one.name, self._location(one, environment.infrastructure, listed)) for one in private)
        self._prepared[environment.infrastructure] = {name: location for name, location in found if location}

    def of_server(self, infrastructure: str, names: Sequence[str]) -> tuple[str, ...]:
        """Return the locations of the networks of a server; empty where the site shall choose."""
        known = self._prepared.get(infrastructure, {})
        chosen = tuple(known[name] for name in names if name in known)
        return chosen or self._default_location()

    def infrastructures(self) -> set[str]:
        """Return the ids of the infrastructures that have networks."""
        if not self._make:
            return set()
        return {mark.infrastructure for one in self._listing() if (mark := network_mark(one.title))}

    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Delete the networks of an infrastructure; returns a line for each that is still there."""
        if not self._make:
            return ()
        lines = []
        for one in self._listing():
            mark = network_mark(one.title)
            if mark and mark.infrastructure == infrastructure:
                try:
                    self._client.delete(one.location)
                except ProviderError as error:
                    lines.append(f"network {mark.name}: {error.message}")
        self._prepared.pop(infrastructure, None)
        return tuple(lines)

    # public addresses

    def publish(self, server: Resource) -> str:
        """Give a server a public address, unless it has one. Raises :class:`im.errors.ProviderError`."""
        site = self._client.site
        if address := addresses_of(server, site.dialect).public:
            return address
        pools = tuple(one.type for one in site.derived(POOLS))[:1]
        if site.has(IP_RESERVATION):
            return self._reserved(server, pools)
        if site.dialect.public_network:
            return self._linked(server, self._client.place(NETWORK, site.dialect.public_network), pools)
        return ""

    def unpublish(self, server: Resource) -> None:
        """Give the public addresses of a server back. They bear no mark, so they go before their server."""
        dialect = self._client.site.dialect
        for link in server.links:
            if not is_floating(link, dialect):
                continue
            self._client.delete(self._client.location_of(link))
            self._reservations.pop(server.id, None)
            if "/ipreservation/" in link.target:
                self._client.delete(link.target)

    def _reserved(self, server: Resource, pools: Sequence[str]) -> str:
        """Reserve an address and link it. After a lost answer the same one is linked, never a second one reserved."""
        if server.id not in self._reservations:
            made = self._client.create(Resource(IP_RESERVATION, mixins=tuple(pools)))
            self._reservations[server.id] = made.location
        elif address := self._linked_before(self._reservations[server.id]):
            return address
        try:
            address = self._linked(server, self._reservations[server.id], ())
        except ProviderUnavailable:
            raise
        except ProviderError:
            self._client.delete(self._reservations.pop(server.id))
            raise
        return address or self._shown(self._reservations[server.id], IP_RESERVATION, RESERVED)

    def _linked_before(self, reservation: str) -> str:
        """The reserved address, if it is in use."""
        shown = self._client.show(reservation, IP_RESERVATION)
        return str(shown.attributes.get(RESERVED, "")) if shown and shown.attributes.get(USED) is True else ""

    def _linked(self, server: Resource, target: str, mixins: Sequence[str]) -> str:
        attributes = {SOURCE: server.location, TARGET: target}
        link = self._client.create(Resource(NETWORK_INTERFACE, mixins=tuple(mixins), attributes=attributes))
        address = str(link.attributes.get(ADDRESS, "")) or self._shown(link.location, NETWORK_INTERFACE, ADDRESS)
        if address:
            return address
        again = self._client.show(server.location, COMPUTE)
        return addresses_of(again, self._client.site.dialect).public if again else ""

    def _shown(self, location: str, kind: str, attribute: str) -> str:
        shown = self._client.show(location, kind)
        return str(shown.attributes.get(attribute, "")) if shown else ""

    # inside

    def _location(self, network: Network, infrastructure: str, listed: Iterable[Resource]) -> str:
        if network.existing:
            return self._named(network.existing, listed)
        if not self._make:
            return ""
        title = str(NetworkMark(infrastructure, network.name))
        if existing := next((one for one in listed if one.title == title), None):
            return existing.location
        attributes = {TITLE: title, CIDR: network.cidr or DEFAULT_CIDR}
        return self._client.create(Resource(NETWORK, mixins=(IP_NETWORK,), attributes=attributes)).location

    def _default_location(self) -> tuple[str, ...]:
        if not self._default:
            return ()
        self._default_at = self._default_at or self._named(self._default, self._listing())
        return (self._default_at,)

    def _named(self, name: str, listed: Iterable[Resource]) -> str:
        known = tuple(listed)
        for one in known:
            if name in {one.id, one.title}:
                return one.location
        names = sorted(one.title or one.id for one in known if network_mark(one.title) is None)
        raise InputError(f"the site has no network {name!r}", hint=f"it has: {', '.join(names) or 'none'}")

    def _listing(self) -> tuple[Resource, ...]:
        """All networks, with their titles."""
        try:
            return self._client.titled(NETWORK)
        except Missing:
            return ()


def _is_outside(network: Resource, dialect: Dialect) -> bool:
    return bool(dialect.public_network) and network.id == dialect.public_network


def _cidrs(network: Resource) -> tuple[str, ...]:
    cidr = str(network.attributes.get(CIDR, ""))
    return (cidr,) if cidr else ()
