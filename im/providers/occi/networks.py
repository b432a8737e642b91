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
        self._unreturned: set[str] = set()

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
        """Delete the networks of an infrastructure; returns a line for each thing that is still there."""
        self._prepared.pop(infrastructure, None)
        marked = ((network_mark(one.title), one.location) for one in (self._listing() if self._make else ()))
        ours = {f"network {mark.name}": at for mark, at in marked if mark and mark.infrastructure == infrastructure}
        return (*self._return_addresses(sorted(self._unreturned)), *self._ended(ours))

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
        """Give the public addresses of a server back. They bear no mark, so they go before their server.

        A link costs ooi more than its address does, and goes with it; elsewhere the link must go first.
        """
        links = [link for link in server.links if is_floating(link, self._client.site.dialect)]
        reserved = {link.target for link in links if "/ipreservation/" in link.target}
        self._unreturned.update(reserved)
        self._return_addresses(reserved)
        returned = reserved - self._unreturned
        for link in links:
            if link.target not in returned:
                self._client.delete(self._client.location_of(link))
        self._return_addresses(reserved - returned)
        self._reservations.pop(server.id, None)

    def _return_addresses(self, places: Iterable[str]) -> tuple[str, ...]:
        """Give back addresses that are linked no more; some sites do not believe that at once."""
        return self._ended({f"public address {place.rpartition('/')[2]}": place for place in places})

    def _ended(self, places: Mapping[str, str]) -> tuple[str, ...]:
        """Delete things by their names; returns a line for each that is still there."""
        lines = []
        for name, place in places.items():
            try:
                self._client.delete(place)
                self._unreturned.discard(place)
            except ProviderError as error:
                lines.append(f"{name}: {error.message}")
        return tuple(lines)

    def _reserved(self, server: Resource, pools: Sequence[str]) -> str:
        """Reserve an address and link it. After a lost answer the same one is linked, never a second one reserved."""
        if server.id not in self._reservations:
            made = self._client.create(Resource(IP_RESERVATION, mixins=tuple(pools)))
            self._reservations[server.id] = made.location
        place = self._reservations[server.id]
        shown = self._client.show(place, IP_RESERVATION) or Resource(IP_RESERVATION)
        if shown.attributes.get(USED) is not True:
            try:
                self._link(server, place, ())
            except ProviderUnavailable:
                raise
            except ProviderError:
                self._client.delete(self._reservations.pop(server.id))
                raise
        return str(shown.attributes.get(RESERVED, ""))

    def _linked(self, server: Resource, target: str, pools: Sequence[str]) -> str:
        """Link a server to a network that gives it an address of its own choice."""
        link = self._link(server, target, pools)
        shown = self._client.show(link.location, NETWORK_INTERFACE)
        return str(shown.attributes.get(ADDRESS, "")) if shown else ""

    def _link(self, server: Resource, target: str, mixins: Sequence[str]) -> Resource:
        attributes = {SOURCE: server.location, TARGET: target}
        return self._client.create(Resource(NETWORK_INTERFACE, mixins=tuple(mixins), attributes=attributes))

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
