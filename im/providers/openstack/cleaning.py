"""Removes what carries our mark, by the cloud's own listings alone, in the right order and much at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from im.errors import ProviderError
from im.providers.openstack.api import Api, Json, Together
from im.providers.openstack.marks import INFRASTRUCTURE, infrastructure_of, mark_of, time_of
from im.providers.openstack.volumes import Volumes

_KINDS = ("networks", "subnets", "routers", "security-groups", "floatingips")
_FIELDS = {
    "networks": ("id", "name", "description", "subnets"),
    "subnets": ("id", "name", "description"),
    "routers": ("id", "name", "description"),
    "security-groups": ("id", "name", "description"),
    "floatingips": ("id", "floating_ip_address", "description"),
}


@dataclass(frozen=True, slots=True)
class Belongings:
    """Everything but servers that carries our mark; keys of ``network`` are neutron's names for its kinds."""

    network: Mapping[str, Sequence[Json]]
    volumes: Sequence[Json]
    placements: Sequence[Json]

    def of(self, infrastructure: str) -> Belongings:
        """Return what belongs to one infrastructure."""
        return Belongings(
            {kind: [one for one in ones if _owner(one) == infrastructure] for kind, ones in self.network.items()},
            [one for one in self.volumes if one["metadata"][INFRASTRUCTURE] == infrastructure],
            [one for one in self.placements if infrastructure_of(one["name"]) == infrastructure],
        )

    @property
    def owners(self) -> Mapping[str, datetime | None]:
        """Return the infrastructures that have anything here, and when their lifetimes end: security groups tell."""
        found = {_owner(one) for ones in self.network.values() for one in ones}
        found |= {one["metadata"][INFRASTRUCTURE] for one in self.volumes}
        found |= {infrastructure_of(one["name"]) for one in self.placements}
        marks = [mark_of(one["description"]) for one in self.network["security-groups"]]
        ends = {mark.infrastructure: time_of(mark.until) for mark in marks if mark and mark.until}
        return {owner: ends.get(owner) for owner in found}


class Cleaner:
    """Lists and removes what is not a server."""

    def __init__(self, api: Api, volumes: Volumes) -> None:
        self._api = api
        self._volumes = volumes

    def look(self) -> Belongings:
        """Return all that is ours on this cloud."""
        with Together() as at_once:
            network = {kind: at_once.ask(partial(self._listed, kind)) for kind in _KINDS}
            volumes = at_once.ask(lambda: self._where_there_is(self._volumes.listed))
            placements = at_once.ask(lambda: self._where_there_is(self._server_groups))
        return Belongings(
            {kind: found.result() for kind, found in network.items()}, volumes.result(), placements.result()
        )

    def clean(self, infrastructure: str) -> tuple[str, ...]:
        """Remove what is left of an infrastructure; return a line for each thing that is still there, and why."""
        mine = self.look().of(infrastructure)
        lines = self._close(mine)
        lines += self._try(
            [
                *(
                    self._removal("security group", "network", "security-groups", one)
                    for one in mine.network["security-groups"]
                ),
                *(self._removal("server group", "compute", "os-server-groups", one) for one in mine.placements),
                *(partial(self._volume, one) for one in mine.volumes),
                *(partial(self._network, one) for one in mine.network["networks"]),
                *(self._removal("subnet", "network", "subnets", one) for one in _without_network(mine.network)),
            ]
        )
        return tuple(dict.fromkeys(lines))

    def close(self, infrastructure: str) -> None:
        """Remove the ways in and out, addresses and routers: what need not wait until the last server is gone."""
        self._close(self.look().of(infrastructure))

    # looking

    def _listed(self, kind: str) -> list[Json]:
        shown = self._api.get("network", f"/{kind}", {"fields": _FIELDS[kind]})[kind.replace("-", "_")]
        return [one for one in shown if _owner(one)]

    def _server_groups(self) -> list[Json]:
        shown = self._api.get("compute", "/os-server-groups")["server_groups"]
        return [one for one in shown if infrastructure_of(one["name"])]

    @staticmethod
    def _where_there_is(look: Callable[[], list[Json]]) -> list[Json]:
        """List what a cloud may have no service for."""
        try:
            return look()
        except ProviderError as error:
            if error.retryable:
                raise
            return []

    # removing

    @staticmethod
    def _try(removals: Iterable[Callable[[], str]]) -> list[str]:
        return [line for line in Together.all(removals) if line]

    def _removal(self, what: str, service: str, kind: str, one: Json) -> Callable[[], str]:
        return partial(self._remove, what, service, f"/{kind}/{one['id']}", one)

    def _remove(self, what: str, service: str, path: str, one: Json) -> str:
        try:
            self._api.delete(service, path)
        except ProviderError as error:
            return f"{what} {_name(one)}: {error.message}"
        return ""

    def _close(self, mine: Belongings) -> list[str]:
        """Remove addresses, then routers: none lets go of a network whose addresses are in use."""
        networks, addresses, routers = (mine.network[kind] for kind in ("networks", "floatingips", "routers"))
        lines = self._try([self._removal("address", "network", "floatingips", one) for one in addresses])
        return lines + self._try([partial(self._router, networks, one) for one in routers])

    def _router(self, networks: Sequence[Json], router: Json) -> str:
        """Take a router's feet out of our networks, where there are any, and remove it."""
        path = f"/routers/{router['id']}/remove_router_interface"
        for subnet in (subnet for network in networks for subnet in network["subnets"]):
            try:
                self._api.act("network", "PUT", path, {"subnet_id": subnet}, {404, 409})
            except ProviderError as error:
                return f"router {_name(router)}: {error.message}"
        return self._remove("router", "network", f"/routers/{router['id']}", router)

    def _network(self, network: Json) -> str:
        """Remove a network and with it its subnets; ports that servers have left behind go first."""
        line = self._remove("network", "network", f"/networks/{network['id']}", network)
        if line and self._sweep(network):
            line = self._remove("network", "network", f"/networks/{network['id']}", network)
        return line

    def _sweep(self, network: Json) -> bool:
        """Remove the ports on a network of ours that belong to no server any more; whether there were any."""
        query = {"network_id": network["id"], "fields": ("id", "name", "device_id", "device_owner")}
        ports = self._api.get("network", "/ports", query)["ports"]
        left = [port for port in ports if not port["device_owner"].startswith("network:")]
        servers = {one["id"] for one in self._api.pages("compute", "/servers", "servers")} if left else set()
        lost = [port for port in left if port["device_id"] not in servers]
        self._try([self._removal("port", "network", "ports", port) for port in lost])
        return bool(lost)

    def _volume(self, volume: Json) -> str:
        """Ask for the end of a volume; it takes its time, and is left until a listing does not show it."""
        line = f"volume {_name(volume)} is {volume['status']}"
        if volume["status"] in {"deleting", "detaching", "in-use", "creating", "attaching"}:
            return line
        return (
            self._remove("volume", "block-storage", f"/volumes/{volume['id']}", volume)
            or f"volume {_name(volume)} is deleting"
        )


def _owner(shown: Json) -> str:
    mark = mark_of(shown.get("description"))
    return mark.infrastructure if mark else ""


def _without_network(network: Mapping[str, Sequence[Json]]) -> list[Json]:
    """Subnets of ours on networks that are not; there should be none."""
    held = {subnet for one in network["networks"] for subnet in one["subnets"]}
    return [one for one in network["subnets"] if one["id"] not in held]


def _name(one: Json) -> str:
    return str(one.get("name") or one.get("floating_ip_address") or one["id"])
