"""The servers of our infrastructures: asked for in few calls, and watched by the cheapest listing that answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from im.errors import ProviderError
from im.plan.model import Instance, NodeSpec
from im.providers.openstack.api import Api, Json, Together
from im.providers.openstack.errors import TooOld
from im.providers.openstack.marks import Batch, batches, name_filter, tags_of
from im.providers.openstack.servers import create_body, fault_of, instance_of, missing_from, requested
from im.providers.openstack.surroundings import Surroundings

TAGS = "2.52"
"""From this microversion of nova on (2017), servers can be tagged as they are made."""
LONGEST_TRUST = 30.0
"""Seconds for which it is believed that nobody else makes or removes servers of an infrastructure."""
LONGEST_BLIND = 120.0
"""Seconds after which the whole truth is asked for, whatever seems to go on."""
LONGEST_HOPE = 10.0
"""Seconds after which it is asked whether a server that does not become active has failed."""


@dataclass(frozen=True, slots=True)
class View:
    """What we know of an infrastructure's servers.

    ``whole``: when all was listed; ``errors``: when it was last asked which failed; ``members``: when, which there are.
    """

    servers: Mapping[str, Instance]
    whole: float
    errors: float
    members: float

    @property
    def statuses(self) -> set[str]:
        """What the servers do."""
        return {server.status for server in self.servers.values()}


class Fleet:
    """All servers that carry our mark. What is remembered here only saves calls: a new process asks again."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._first_look = threading.Lock()
        self._views: dict[str, View] = {}
        self._faults: dict[str, str] = {}
        self._requests: dict[str, str] = {}

    # looking

    def list(self, infrastructure: str) -> tuple[Instance, ...]:
        """Return the servers of one infrastructure.

        While it is only waited for the same thing to happen to all, a brief listing tells: nova asks neutron twice
        for each whole one. Of a server that has just become active, the address follows when the last one has.
        """
        view = self._views.get(infrastructure)
        if view is None or self._clock() - view.whole >= LONGEST_BLIND:
            return self._whole(infrastructure)
        if view.statuses == {"deleting"}:
            return self._remaining(infrastructure, view)
        if view.servers and view.statuses <= {"building", "active", "error"}:
            return self._becoming(infrastructure, view)
        return self._whole(infrastructure)

    def all(self) -> tuple[Instance, ...]:
        """Return the servers of all infrastructures."""
        return tuple(self._listed(None))

    def known(self, infrastructure: str) -> tuple[Instance, ...]:
        """Return the servers of an infrastructure as they were when they were last listed, without a call."""
        view = self._views.get(infrastructure)
        return tuple(view.servers.values()) if view else ()

    def find(self, id_: str) -> Instance | None:
        """Return a server by its id."""
        known = [view.servers[id_] for view in tuple(self._views.values()) if id_ in view.servers]
        return next(iter(known), None) or next((one for one in self.all() if one.id == id_), None)

    def learn(self, id_: str, public_address: str) -> None:
        """Remember the public address that a server was just given."""
        with self._lock:
            for key, view in self._views.items():
                if server := view.servers.get(id_):
                    known = {**view.servers, id_: replace(server, public_address=public_address)}
                    self._views[key] = replace(view, servers=known)

    def forget(self, ids: Iterable[str]) -> None:
        """What we know of these servers is old: ask for the whole truth next time."""
        old = set(ids)
        with self._lock:
            self._views = {key: view for key, view in self._views.items() if not view.servers.keys() & old}

    def _listed(self, infrastructure: str | None) -> Sequence[Instance]:
        query = {"name": name_filter(infrastructure)}
        shown = [instance_of(one) for one in self._api.pages("compute", "/servers/detail", "servers", query)]
        return [one for one in shown if one and infrastructure in {None, one.infrastructure}]

    def _whole(self, infrastructure: str) -> tuple[Instance, ...]:
        begun = self._clock()
        found = self._with_requests(self._with_faults(self._listed(infrastructure)))
        return self._keep(infrastructure, View({one.id: one for one in found}, begun, begun, begun))

    def _with_faults(self, servers: Sequence[Instance]) -> Sequence[Instance]:
        """Add what a listing does not tell: nova (26) keeps servers that it found no host for in a cell apart.

        Their faults are shown only to who asks for each alone.
        """
        mute = [one.id for one in servers if one.status == "error" and not one.message and one.id not in self._faults]
        found = Together.all([partial(self._fault, id_) for id_ in mute])
        self._faults |= {id_: fault for id_, fault in zip(mute, found, strict=True) if fault}
        return [replace(one, message=one.message or self._faults.get(one.id, "")) for one in servers]

    def _fault(self, id_: str) -> str:
        try:
            return fault_of(self._api.get("compute", f"/servers/{id_}")["server"])
        except ProviderError:
            return ""

    def _with_requests(self, servers: Sequence[Instance]) -> Sequence[Instance]:
        """Add to each reason for a failure the request that failed: nova is asked once for each new reason."""
        reasons = {one.message: one.id for one in servers if one.message}
        new = {reason: id_ for reason, id_ in reasons.items() if reason not in self._requests}
        found = Together.all([partial(self._request_that_failed, id_) for id_ in new.values()])
        self._requests |= dict(zip(new, found, strict=True))
        told = {reason: f"{reason} [{id_}]" for reason, id_ in self._requests.items() if id_}
        return [replace(one, message=told.get(one.message, one.message)) for one in servers]

    def _request_that_failed(self, server: str) -> str:
        """Return the id of the latest request about a server; "" where the site does not tell."""
        try:
            shown = self._api.get("compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        except ProviderError:
            return ""
        return str(shown[0]["request_id"]) if shown else ""

    def _becoming(self, infrastructure: str, view: View) -> tuple[Instance, ...]:
        now, name = self._clock(), name_filter(infrastructure)
        if "building" in view.statuses and now - view.errors >= LONGEST_HOPE:
            view = replace(view, errors=now)
            if self._brief(name, status="ERROR") != {id_ for id_, one in view.servers.items() if one.status == "error"}:
                return self._whole(infrastructure)
        if now - view.members >= LONGEST_TRUST:
            view = replace(view, members=now)
            if self._brief(name) != view.servers.keys():
                return self._whole(infrastructure)
        active = self._brief(name, status="ACTIVE")
        known = {id_ for id_, one in view.servers.items() if one.status == "active"}
        waiting = {id_ for id_, one in view.servers.items() if one.status != "error"}
        complete = all(view.servers[id_].private_address for id_ in known) and known == waiting
        if active - view.servers.keys() or known - active or (waiting <= active and not complete):
            return self._whole(infrastructure)
        servers = {id_: replace(one, status="active") if id_ in active else one for id_, one in view.servers.items()}
        return self._keep(infrastructure, replace(view, servers=servers))

    def _remaining(self, infrastructure: str, view: View) -> tuple[Instance, ...]:
        there = self._brief(name_filter(infrastructure))
        if there - view.servers.keys():
            return self._whole(infrastructure)
        servers = {id_: one for id_, one in view.servers.items() if id_ in there}
        return self._keep(infrastructure, replace(view, servers=servers))

    def _keep(self, infrastructure: str, view: View) -> tuple[Instance, ...]:
        with self._lock:
            self._views[infrastructure] = view
        return tuple(view.servers.values())

    def _brief(self, name: str, **query: str) -> set[str]:
        return {one["id"] for one in self._names(name, **query)}

    def _names(self, name: str, **query: str) -> Sequence[Json]:
        return self._api.pages("compute", "/servers", "servers", {"name": name, **query})

    # changing

    def create(
        self, specs: Sequence[NodeSpec], around: Surroundings, flavor: Callable[[NodeSpec], str]
    ) -> tuple[Instance, ...]:
        """Request these servers, in one call for all that are equal; return them and those that are there already."""
        if not specs:
            return ()
        infrastructure = specs[0].infrastructure
        with self._first_look:
            view = self._views.get(infrastructure)
            if view is None or self._clock() - max(view.whole, view.members) >= LONGEST_TRUST:
                self._whole(infrastructure)
        there = {one.token: one for one in self.known(infrastructure)}
        new = batches(missing_from(there, specs))
        there |= self._create_all([partial(self._create, batch, around, flavor) for batch in new], new)
        self._add(infrastructure, there.values())
        return tuple(there[spec.token] for spec in specs if spec.token in there)

    def _create_all(
        self, calls: Sequence[Callable[[], Sequence[Instance]]], new: Sequence[Sequence[NodeSpec]]
    ) -> dict[str, Instance]:
        """Make the calls; if only some fail, their servers are in error. Raises the error if all fail."""
        made: dict[str, Instance] = {}
        errors: list[ProviderError] = []
        for call, specs in zip(calls, new, strict=True):
            try:
                made |= {one.token: one for one in call()}
            except ProviderError as error:
                errors.append(error)
                made |= {spec.token: _failed(spec, error) for spec in specs}
        if errors and len(errors) == len(calls):
            raise errors[0]
        return made

    def _create(
        self, specs: Sequence[NodeSpec], around: Surroundings, flavor: Callable[[NodeSpec], str]
    ) -> Sequence[Instance]:
        body, batch = create_body(specs, flavor(specs[0]), around), Batch.of(specs)
        infrastructure, tokens = batch.infrastructure, {spec.token for spec in specs}

        def there() -> Json | None:
            found = [one for one in self._listed(infrastructure) if one.token in tokens]
            return {"instances": found} if found else None

        made = self._request(body, infrastructure, there)
        if "instances" in made:
            return list(made["instances"])
        if len(specs) == 1:
            name = body["server"]["name"]
            return [one for one in [requested(batch, {"id": made["server"]["id"], "name": name})] if one]
        return self._numbered(batch, body["server"]["name"])

    def _request(self, body: Json, infrastructure: str, there: Callable[[], Json | None]) -> Json:
        tagged = {**body, "server": {**body["server"], "tags": tags_of(infrastructure)}}
        try:
            return self._api.post("compute", "/servers", tagged, there, TAGS)
        except TooOld:
            return self._api.post("compute", "/servers", body, there)

    def _numbered(self, batch: Batch, name: str) -> Sequence[Instance]:
        """Return the servers of a call that many came from, by their names; nova tells the id of the first only."""
        known = {one.id for one in self.known(batch.infrastructure)}
        shown = [one for one in self._names(f"^{name}-[0-9]+$") if one["id"] not in known]
        found = [one for one in (requested(batch, item) for item in shown) if one]
        if len(shown) == len({one.token for one in found}) == len(batch.nodes):
            return found
        tokens = {node.token for node in batch.nodes}
        return [one for one in self._listed(batch.infrastructure) if one.token in tokens]

    def _add(self, infrastructure: str, servers: Iterable[Instance]) -> None:
        made = {one.id: one for one in servers if one.id}
        with self._lock:
            if view := self._views.get(infrastructure):
                self._views[infrastructure] = replace(view, servers={**made, **view.servers})

    def delete(self, ids: Sequence[str]) -> None:
        """Request the end of these servers."""
        self._each(ids, lambda id_: self._api.delete("compute", f"/servers/{id_}"))
        self._mark_deleting(ids)

    def act(self, ids: Sequence[str], action: str) -> None:
        """Request the same of these servers; one that is gone, or does it already, is quiet."""
        body: Json = {action: None}
        self._each(ids, lambda id_: self._api.act("compute", "POST", f"/servers/{id_}/action", body, {404, 409}))
        self.forget(ids)

    @staticmethod
    def _each(ids: Iterable[str], call: Callable[[str], object]) -> None:
        Together.all([partial(call, id_) for id_ in dict.fromkeys(ids)])

    def _mark_deleting(self, ids: Iterable[str]) -> None:
        gone = set(ids)
        with self._lock:
            for key, view in self._views.items():
                servers = {
                    id_: replace(one, status="deleting") if id_ in gone else one for id_, one in view.servers.items()
                }
                self._views[key] = replace(view, servers=servers)


def _failed(spec: NodeSpec, error: ProviderError) -> Instance:
    return Instance(
        "", spec.infrastructure, spec.group, spec.index, spec.name, spec.token, status="error", message=str(error)
    )
