"""What the cloud offers now: few listings, all at the same time."""

from __future__ import annotations

import threading
import time
from typing import Any

from im.errors import ImError, NotPermitted, ProviderError
from im.plan.model import Catalog, Flavor
from im.providers.openstack import readings
from im.providers.openstack.api import Api, Json, Together
from im.providers.openstack.session import Login

FLAVORS_WITH_SPECS = "2.61"
FRESH = 30.0
"""Seconds for which a listing of networks serves the next question too."""
_NETWORK_FIELDS = ("id", "name", "description", "router:external", "subnets", "is_default", "tags")


class Offers:
    """Flavors, images, limits, zones and networks of one cloud; a catalog lists them anew, all at once."""

    def __init__(self, api: Api, login: Login) -> None:
        self._api = api
        self._login = login
        self._lock = threading.Lock()
        self._flavors: tuple[Flavor, ...] = ()
        self._networks: list[Json] = []
        self._networks_at = float("-inf")

    def catalog(self) -> Catalog:
        """Return everything that can be had; what the site refuses to tell is left out."""
        project = self._api.repeated(self._login.project)
        with Together() as at_once:
            flavors = at_once.ask(self._list_flavors)
            images = at_once.ask(lambda: self._api.pages("image", "/images", "images", {"status": "active"}))
            networks = at_once.ask(self._list_networks)
            subnets = at_once.ask(self._subnets)
            zones = at_once.ask(lambda: self._told("compute", "/os-availability-zone", "availabilityZoneInfo", []))
            addresses = at_once.ask(lambda: self._told("network", "/floatingips", "floatingips", []))
            servers = at_once.ask(lambda: self._told("compute", "/limits", "limits", {}))
            volumes = at_once.ask(lambda: self._told("block-storage", "/limits", "limits", {}))
            quota = at_once.ask(lambda: self._told("network", f"/quotas/{project}/details.json", "quota", {}))
        return Catalog(
            images=readings.images_of(images.result()),
            flavors=flavors.result(),
            quota=readings.rooms_of(servers.result().get("absolute", {}))
            | readings.rooms_of(volumes.result().get("absolute", {}))
            | readings.network_rooms_of(quota.result()),
            free_addresses=sum(1 for one in addresses.result() if not one["port_id"]),
            zones=readings.zones_of(zones.result()),
            networks=readings.networks_of(networks.result(), subnets.result()),
        )

    def flavors(self) -> tuple[Flavor, ...]:
        """Return the flavors as they were last listed."""
        return self._flavors or self._list_flavors()

    def networks(self) -> list[Json]:
        """Return the networks as neutron shows them, listed a moment ago at most."""
        with self._lock:
            if time.monotonic() - self._networks_at <= FRESH:
                return self._networks
        return self._list_networks()

    def forget_networks(self) -> None:
        """We have made or removed one: list them anew when somebody asks."""
        with self._lock:
            self._networks_at = float("-inf")

    def _list_flavors(self) -> tuple[Flavor, ...]:
        """List the flavors, with what their extra specs say where nova is new enough to tell."""
        try:
            shown = self._api.pages("compute", "/flavors/detail", "flavors", version=FLAVORS_WITH_SPECS)
        except ProviderError as error:
            if error.retryable or isinstance(error, NotPermitted):
                raise
            shown = self._api.pages("compute", "/flavors/detail", "flavors")
        self._flavors = readings.flavors_of(shown)
        return self._flavors

    def _list_networks(self) -> list[Json]:
        found: list[Json] = self._api.get("network", "/networks", {"fields": _NETWORK_FIELDS})["networks"]
        with self._lock:
            self._networks, self._networks_at = found, time.monotonic()
        return found

    def _subnets(self) -> list[Json]:
        found: list[Json] = self._api.get("network", "/subnets", {"fields": ("network_id", "cidr")})["subnets"]
        return found

    def _told(self, service: str, path: str, key: str, otherwise: Any) -> Any:  # noqa: ANN401 -- JSON
        """What a site may refuse to tell, or have no service for."""
        try:
            return self._api.get(service, path)[key]
        except ImError:
            return otherwise
