"""An OpenStack cloud behind the interface of a provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from datetime import datetime

from im.config import Settings
from im.errors import ProviderError
from im.events import Emit
from im.plan.model import Catalog, Instance, NodeSpec
from im.providers.base import Capability, Check, Environment
from im.providers.openstack.addresses import Addresses
from im.providers.openstack.api import Api, Together
from im.providers.openstack.checks import look_around
from im.providers.openstack.cleaning import Cleaner
from im.providers.openstack.fleet import Fleet
from im.providers.openstack.offers import Offers
from im.providers.openstack.readings import smallest
from im.providers.openstack.session import Login
from im.providers.openstack.surroundings import Builder, Surroundings, floating_network
from im.providers.openstack.volumes import Names, Volumes

CONSOLE_LINES = 400


class OpenStackProvider:
    """Sub-clusters on OpenStack. ``openstack:NAME`` is in ``clouds.yaml``; ``openstack`` is what ``OS_*`` say."""

    capabilities = frozenset(
        {
            Capability.PUBLIC_ADDRESS,
            Capability.PRIVATE_NETWORK,
            Capability.MULTI_CREATE,
            Capability.VOLUMES,
            Capability.STOP_START,
            Capability.CONSOLE,
            Capability.LIFETIMES,
        }
    )

    def __init__(self, settings: Settings, cloud: str) -> None:  # noqa: ARG002 -- every factory gets the settings
        self._login = Login(cloud)
        self.name = self._login.name
        self.api = Api(self._login)
        self._offers = Offers(self.api, self._login)
        self._fleet = Fleet(self.api)
        self._volumes = Volumes(self.api)
        self._names = Names(self._volumes)
        self._addresses = Addresses(self.api)
        self._cleaner = Cleaner(self.api, self._volumes)
        self._around: dict[str, Surroundings] = {}

    def check(self) -> tuple[Check, ...]:
        """Look whether the credential, each service, the quota, an image, a flavor and a way out are there."""
        return look_around(self.api, self._login, self._offers)

    def catalog(self) -> Catalog:
        """Return images, flavors, limits, zones and networks."""
        return self._offers.catalog()

    def prepare(self, environment: Environment, emit: Emit) -> None:  # noqa: ARG002 -- nothing here takes long
        """Make networks, security groups and server groups; the way out of the networks is made meanwhile."""
        self._settle(environment.infrastructure)
        self._around[environment.infrastructure] = Builder(self.api, self._offers, environment).build()

    def create(self, specs: Sequence[NodeSpec]) -> tuple[Instance, ...]:
        """Request these servers, one call for all that are equal."""
        if not specs:
            return ()
        around = self._around.get(specs[0].infrastructure)
        if around is None:
            raise ProviderError("prepare comes before create", where=f"cloud {self.name}")
        return self._fleet.create(specs, around, self._flavor)

    def list(self, infrastructure: str | None = None) -> tuple[Instance, ...]:
        """Return our servers, by the cheapest listing that tells what has changed."""
        found = self._fleet.all() if infrastructure is None else self._fleet.list(infrastructure)
        return self._names.put(found)

    def delete(self, ids: Sequence[str]) -> None:
        """Request the end of these servers; their ports and boot volumes go with them."""
        self._fleet.delete(ids)

    def stop(self, ids: Sequence[str]) -> None:
        """Request that these servers stop."""
        self._fleet.act(ids, "os-stop")

    def start(self, ids: Sequence[str]) -> None:
        """Request that these servers run again."""
        self._fleet.act(ids, "os-start")

    def publish(self, id: str) -> str:  # noqa: A002
        """Give this server a floating IP, unless it has one or is on an external network; "" where there are none."""
        server = self._fleet.find(id)
        if server is None or server.public_address:
            return server.public_address if server else ""
        around = self._around.get(server.infrastructure)
        floating = around.floating if around else floating_network(self.api, server.infrastructure)
        if not floating:
            return ""
        if around:
            around.way_out.result()
        address = self._addresses.give(server, floating, around.outside if around else ())
        self._fleet.learn(id, address)
        return address

    def attach(self, specs: Sequence[NodeSpec]) -> bool:
        """Make and attach the volumes of these servers."""
        if not any(spec.volumes for spec in specs):
            return True
        infrastructure = specs[0].infrastructure
        servers = {one.token: one for one in self._fleet.list(infrastructure)}
        done = self._volumes.attach(specs, servers)
        if done:
            self._fleet.forget(one.id for one in servers.values())
        return done

    def console(self, id: str) -> str:  # noqa: A002
        """Return the end of the server's console log."""
        body = {"os-getConsoleOutput": {"length": CONSOLE_LINES}}
        return str(self.api.act("compute", "POST", f"/servers/{id}/action", body, {404, 409}).get("output", ""))

    def infrastructures(self) -> Mapping[str, datetime | None]:
        """Return the ids of all infrastructures that have anything left here, and when their lifetimes end."""
        with Together() as at_once:
            servers = at_once.ask(self._fleet.all)
            others = at_once.ask(self._cleaner.look)
        return {**dict.fromkeys(one.infrastructure for one in servers.result()), **others.result().owners}

    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Remove addresses, routers and, once there are no servers, networks, groups and volumes."""
        self._settle(infrastructure)
        if servers := self._fleet.known(infrastructure):
            self._cleaner.close(infrastructure)
            return tuple(f"server {one.name} is {one.status}" for one in servers)
        left = self._cleaner.clean(infrastructure)
        self._offers.forget_networks()
        return left

    def _settle(self, infrastructure: str) -> None:
        """Wait for what is still being made around an infrastructure, and forget it; what has failed is made anew."""
        if around := self._around.pop(infrastructure, None):
            wait([around.way_out, around.tagged])

    def _flavor(self, spec: NodeSpec) -> str:
        return spec.flavor or smallest(self._offers.flavors(), spec.cpus, spec.memory, spec.disk).id
