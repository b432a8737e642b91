"""Provider ``occi`` behind the interface that all clouds share: ``occi:NAME`` of a site, or ``occi:https://…``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from im.config import OcciSite, Settings
from im.errors import InputError, ProviderError, UnknownName
from im.events import Emit
from im.plan.model import Catalog, Instance, NodeSpec
from im.providers.base import Capability, Check, Environment
from im.providers.occi.auth import site_of_address
from im.providers.occi.catalog import catalog_of
from im.providers.occi.checks import checks_of
from im.providers.occi.client import Client
from im.providers.occi.compute import compute_of
from im.providers.occi.faults import Conflict, Missing, Unanswered
from im.providers.occi.instances import STATE, instance_of, status_of
from im.providers.occi.marks import ServerMark, server_mark
from im.providers.occi.memory import Memory, Term
from im.providers.occi.model import COMPUTE, COMPUTE_ACTION, Resource
from im.providers.occi.networks import Networks
from im.providers.occi.volumes import Volumes

_CAPABILITIES = frozenset({Capability.PUBLIC_ADDRESS, Capability.STOP_START, Capability.VOLUMES})


class _Marked(NamedTuple):
    """A server of ours as a listing shows it."""

    resource: Resource
    mark: ServerMark


class OcciProvider:
    """Servers on one OCCI site, known by their titles. What it remembers only saves questions."""

    def __init__(self, settings: Settings, cloud: str) -> None:
        self.name = cloud
        self._site = _site(settings, cloud)
        self.capabilities = _CAPABILITIES | ({Capability.PRIVATE_NETWORK} if self._site.make_networks else set())
        self._client = Client(self._site, cloud)
        self._networks = Networks(self._client, self._site.network, make=self._site.make_networks)
        self._volumes = Volumes(self._client)
        self._memory = Memory()

    # looking

    def check(self) -> tuple[Check, ...]:
        """Look whether the site can be used; changes nothing."""
        return tuple(checks_of(self._client, self._site.sizes, self._networks.offered))

    def catalog(self) -> Catalog:
        """Return images, flavors and networks: two requests."""
        return catalog_of(self._client.site, self._site.sizes, self._networks.offered())

    def list(self, infrastructure: str | None = None) -> tuple[Instance, ...]:
        """Return the servers with our mark: one request where the site lists states, else one more for each of ours."""
        marked = [one for one in self._marked() if infrastructure in {None, one.mark.infrastructure}]
        leaving = [one for one in marked if self._memory.is_ending(one.resource.id)]
        staying = [one for one in marked if one not in leaving]
        known = [one._replace(resource=self._memory.settled(one.resource.id) or one.resource) for one in staying]
        whole, waiting = self._looked_at(known)
        self._volumes.learn(one.resource for one in whole)
        ending = (one.mark.instance(one.resource.id, "deleting") for one in leaving)
        return (*map(self._instance, whole), *ending, *(one.mark.instance(one.resource.id) for one in waiting))

    def infrastructures(self) -> Mapping[str, None]:
        """Return the ids of all infrastructures that have servers, networks or volumes here."""
        servers = {one.mark.infrastructure for one in self._marked()}
        return dict.fromkeys(servers | self._networks.infrastructures() | self._volumes.infrastructures())

    def console(self, id: str) -> str:  # noqa: A002, ARG002
        """Return "": OCCI has no console."""
        return ""

    # making

    def prepare(self, environment: Environment, emit: Emit) -> None:  # noqa: ARG002
        """Find the networks that the template names, and make its private ones where the site's settings say so."""
        self._networks.prepare(environment)

    def create(self, specs: Sequence[NodeSpec]) -> tuple[Instance, ...]:
        """Request these servers, several at once; who exists already stays."""
        if not specs:
            return ()
        existing = {one.mark.token: one for one in self._marked()}
        whole = self._whole([existing[spec.token] for spec in specs if spec.token in existing])
        found = {one.mark.token: self._instance(one) for one in whole}
        new = [spec for spec in specs if spec.token not in existing]
        wanted = [
            compute_of(spec, self._client.site, self._networks.of_server(spec.infrastructure, spec.networks))
            for spec in new
        ]
        outcomes = self._client.parallel(self._requested, wanted)
        found |= self._created(new, outcomes)
        return tuple(found[spec.token] for spec in specs if spec.token in found)

    def publish(self, id: str) -> str:  # noqa: A002
        """Give this server a public address."""
        known = self._memory.settled(id)
        self._memory.touch(id)
        server = known or self._client.show(self._client.place(COMPUTE, id), COMPUTE)
        return self._networks.publish(server) if server else ""

    def attach(self, specs: Sequence[NodeSpec]) -> bool:
        """Make and link the volumes of these servers."""
        if not any(spec.volumes for spec in specs):
            return True
        tokens = {spec.token for spec in specs}
        whole = self._whole([one for one in self._marked() if one.mark.token in tokens])
        for one in whole:
            self._memory.touch(one.resource.id)
        return self._volumes.attach(specs, {one.mark.token: one.resource for one in whole})

    # stopping, starting, ending

    def stop(self, ids: Sequence[str]) -> None:
        """Request that these servers stop."""
        self._client.parallel(lambda one: self._act(one.resource, "stop", "stopped"), self._ours(ids))

    def start(self, ids: Sequence[str]) -> None:
        """Request that these servers run again."""
        self._client.parallel(lambda one: self._act(one.resource, "start", "active"), self._ours(ids))

    def delete(self, ids: Sequence[str]) -> None:
        """Request the end of these servers, and give their public addresses back."""
        self._client.parallel(self._delete, self._ours(ids))

    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Delete the volumes and networks of an infrastructure."""
        if left := [one for one in self._marked() if one.mark.infrastructure == infrastructure]:
            return tuple(f"server {one.mark.name} still exists" for one in left)
        return (*self._volumes.release(infrastructure), *self._networks.release(infrastructure))

    # inside

    def _marked(self) -> tuple[_Marked, ...]:
        """All servers of ours, as far as a listing shows them."""
        listed = self._client.titled(COMPUTE)
        return tuple(_Marked(one, mark) for one in listed if (mark := server_mark(one.title)))

    def _ours(self, ids: Iterable[str]) -> Sequence[_Marked]:
        """Those of these servers that exist and have our mark."""
        wanted = set(ids)
        return [one for one in self._marked() if one.resource.id in wanted] if wanted else []

    def _whole(self, marked: Sequence[_Marked]) -> tuple[_Marked, ...]:
        """The same servers with their states and links."""
        short = [one.resource.location for one in marked if STATE not in one.resource.attributes]
        shown = {one.location: one for one in self._client.show_all(short, COMPUTE)}
        whole = ((shown.get(one.resource.location, one.resource), one.mark) for one in marked)
        return tuple(_Marked(resource, mark) for resource, mark in whole if STATE in resource.attributes)

    def _looked_at(self, marked: Sequence[_Marked]) -> tuple[Sequence[_Marked], Sequence[_Marked]]:
        """The same servers with their states, and those whose turn did not come.

        New servers without a state are asked about one by one, then two, four, until one is still being built: to
        look at all of them again and again would keep the site from building them.
        """
        short = {one.resource.id: one for one in marked if STATE not in one.resource.attributes}
        young = [short[id_] for id_ in self._memory.young(short)]
        whole = [*self._whole([one for one in marked if one not in young])]
        size = 1
        while young:
            batch, young = self._whole(young[:size]), young[size:]
            whole += batch
            if building := [one.resource.id for one in batch if not self._is_active(one.resource)]:
                for id_ in building:
                    self._memory.still_building(id_)
                break
            size *= 2
        return whole, young

    def _is_active(self, resource: Resource) -> bool:
        return status_of(resource, self._client.site.dialect) == "active"

    def _instance(self, one: _Marked) -> Instance:
        instance = instance_of(one.resource, one.mark, self._client.site.dialect)
        silent = self._client.site.dialect.silent_building
        if silent and instance.status == "stopped" and self._memory.is_young(instance.id):
            instance = replace(instance, status="building")
        elif instance.status == "active":
            self._memory.runs(one.resource, settled=bool(instance.private_address))
        if silent and instance.status == "building" and self._memory.is_doubtful(instance.id):
            self._ask_whether_it_failed(one.resource)
        if reason := self._memory.failure(instance.id):
            instance = replace(instance, status="error", message=reason)
        return replace(instance, volumes=self._volumes.of_server(one.resource))

    def _ask_whether_it_failed(self, server: Resource) -> None:
        """Where a server that is being built and one that failed look alike, a refusal tells.

        One without a host cannot be started, whatever its state; it can be asked to restart, for there is nothing.
        """
        dialect = self._client.site.dialect
        said = self._refusal(server, "start")
        if dialect.homeless and re.search(dialect.homeless, said):
            said = self._refusal(server, "restart")
        if dialect.failed and re.search(dialect.failed, said):
            self._memory.failed(server.id, said)

    def _refusal(self, server: Resource, term: str) -> str:
        """Return what the site says against an action; "" if nothing."""
        try:
            self._client.act(server.location, f"{COMPUTE_ACTION}{term}")
        except ProviderError as error:
            return error.message
        return ""

    def _requested(self, resource: Resource) -> Resource | ProviderError:
        """Request one server; what goes wrong with it is told, not raised."""
        try:
            made = self._client.create(resource)
        except Conflict as error:  # of what does not exist yet no state can be in the way: the request itself is wrong
            hint = "where it asks for a network: set `network` of the site"
            return ProviderError(error.message, where=error.where, hint=hint)
        except ProviderError as error:
            return error
        self._memory.made(made.id)
        return made

    def _created(
        self, specs: Sequence[NodeSpec], outcomes: Sequence[Resource | ProviderError]
    ) -> Mapping[str, Instance]:
        """What became of requests, by token. Raises the first error if nothing became of any."""
        pairs = tuple(zip(map(ServerMark.of, specs), outcomes, strict=True))
        found = {mark.token: mark.instance(made.id) for mark, made in pairs if isinstance(made, Resource)}
        failed = {mark.token: (mark, error) for mark, error in pairs if isinstance(error, ProviderError)}
        if any(isinstance(error, Unanswered) for _, error in failed.values()):
            seen = [one for one in self._marked() if one.mark.token in failed]
            found |= {one.mark.token: one.mark.instance(one.resource.id) for one in seen}
        lost = [failed[token] for token in failed if token not in found]
        if lost and not found:
            raise lost[0][1]
        refused = ((mark, error.message) for mark, error in lost if not error.retryable)
        return found | {mark.token: mark.instance("", "error", message) for mark, message in refused}

    def _act(self, server: Resource, term: Term, wanted: str) -> None:
        """Request an action, unless it has been requested or done already. Raises what else the site says."""
        self._memory.touch(server.id)
        try:
            self._client.act(server.location, f"{COMPUTE_ACTION}{term}")
        except Missing:
            return
        except Conflict:
            now = self._client.show(server.location, COMPUTE)
            done = now is None or status_of(now, self._client.site.dialect) == wanted
            if not done and not self._memory.was_asked(server.id, term):
                raise
        self._memory.asked(server.id, term)

    def _delete(self, one: _Marked) -> None:
        known = one._replace(resource=self._memory.settled(one.resource.id) or one.resource)
        (whole, *_) = self._whole([known]) or (known,)
        self._memory.touch(one.resource.id)
        self._networks.unpublish(whole.resource)
        self._client.delete(one.resource.location)
        self._memory.ends(one.resource.id)


def _site(settings: Settings, cloud: str) -> OcciSite:
    """The settings of the site that a cloud's name means."""
    account = cloud.partition(":")[2]
    if account.startswith(("http://", "https://")):
        return site_of_address(account)
    if account in settings.occi:
        return settings.occi[account]
    known = ", ".join(f"occi:{name}" for name in sorted(settings.occi)) or "none is configured"
    if not account:
        raise InputError("cloud occi needs the name of a site", hint=f"occi:NAME or occi:https://…; sites: {known}")
    raise UnknownName(f"there is no OCCI site {account!r}", hint=f"sites: {known} ([occi.{account}] in config.toml)")
