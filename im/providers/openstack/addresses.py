"""Public addresses: one that the project has and nobody uses, else a new one that carries our mark."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from im.errors import NoCapacity, ProviderError
from im.plan.model import Instance
from im.providers.openstack.api import Api, Json, Together
from im.providers.openstack.marks import Mark, described, mark_of
from im.providers.openstack.tags import lacks_tags, put_tags

HINT = "delete a floating IP that you do not need, or ask the site for more"


class Addresses:
    """Floating IPs of one cloud."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._one_by_one = threading.Lock()

    def give(self, server: Instance, floating: str, direct: Collection[str]) -> str:
        """Return the public address of a server; it gets one from network ``floating`` if it has none.

        ``direct``: networks that floating IPs do not lead to.
        """
        with self._one_by_one:
            with Together() as at_once:
                listed = at_once.ask(lambda: self._api.get("network", "/floatingips")["floatingips"])
                ports = at_once.ask(lambda: self._ports(server.id))
            wanted = [port for port in ports.result() if port["network_id"] not in direct]
            if not wanted:
                raise ProviderError(f"server {server.name} has no port yet that a public address could lead to")
            port = wanted[0]["id"]
            address = (
                attached(listed.result(), wanted)
                or self._reused(unused(listed.result(), floating, server.infrastructure), port)
                or self._new(server, floating, port)
            )
        if mark_of(address.get("description")) and lacks_tags(address):
            put_tags(self._api, server.infrastructure, [("floatingips", address["id"])])
        return str(address["floating_ip_address"])

    def _ports(self, server: str) -> Sequence[Json]:
        query = {"device_id": server, "fields": ("id", "network_id")}
        ports: list[Json] = self._api.get("network", "/ports", query)["ports"]
        return ports

    def _reused(self, free: Sequence[Json], port: str) -> Json | None:
        """Take the first that nobody else takes at the same moment: the revision that we have seen must still be so."""
        for one in free:
            path, seen = f"/floatingips/{one['id']}", {"If-Match": f"revision_number={one.get('revision_number', 0)}"}
            body = {"floatingip": {"port_id": port}}
            if self._api.act("network", "PUT", path, body, {404, 409, 412}, headers=seen):
                return one
            if there := self._at(port):  # the first answer was lost
                return there
        return None

    def _at(self, port: str) -> Json | None:
        listed: list[Json] = self._api.get("network", "/floatingips", {"port_id": port})["floatingips"]
        return listed[0] if listed else None

    def _new(self, server: Instance, floating: str, port: str) -> Json:
        mark = described(Mark(server.infrastructure, "address", server.name))
        body: Json = {"floatingip": {"floating_network_id": floating, "port_id": port, "description": mark}}

        def there() -> Json | None:
            found = self._at(port)
            return {"floatingip": found} if found else None

        try:
            made: Json = self._api.post("network", "/floatingips", body, there)["floatingip"]
        except NoCapacity as error:
            raise NoCapacity(
                f"no public address for {server.name}: {error.message}", where=error.where, hint=HINT
            ) from None
        return made


def attached(listed: Sequence[Json], ports: Sequence[Json]) -> Json | None:
    """Return the address that leads to one of these ports; None if none does."""
    ids = {port["id"] for port in ports}
    return next((one for one in listed if one["port_id"] in ids), None)


def unused(listed: Sequence[Json], floating: str, infrastructure: str) -> list[Json]:
    """Return the addresses of a network that nobody uses: first those that carry our mark, then those without one.

    What carries the mark of another infrastructure is left to it.
    """
    marks = [(mark_of(one.get("description")), one) for one in listed]
    free = [(mark, one) for mark, one in marks if not one["port_id"] and one["floating_network_id"] == floating]
    ours = [one for mark, one in free if mark and mark.infrastructure == infrastructure]
    return [*ours, *(one for mark, one in free if mark is None)]
