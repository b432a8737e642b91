"""What can be done with an infrastructure. Every operation is continued by calling it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from im.clock import Clock
from im.config import Settings
from im.engine import locks
from im.engine.admission import admitted
from im.engine.calls import once
from im.engine.cluster import cluster_of
from im.engine.complete import complete, rest_provisioned
from im.engine.explain import explain
from im.engine.journal import Journal
from im.engine.live import as_seen
from im.engine.observe import list_servers
from im.engine.power import rest_stopped, stop
from im.engine.reconcile import reconcile
from im.engine.subjects import check_alive, check_cloud, chosen_nodes, new_record, topology_of
from im.engine.teardown import teardown
from im.engine.world import Contextualizer, World
from im.errors import Held, ImError, InputError, ProviderError, StoreError
from im.events import Emit
from im.plan.desired import scaled
from im.plan.model import Catalog, Cluster, InfrastructureState, Instance, NodeState, Plan
from im.plan.observe import UP
from im.providers.base import Capability, Provider
from im.ssh.keys import KeyRing
from im.store.repository import InfrastructureRecord, Store
from im.topology.model import Topology

BROKEN = frozenset({NodeState.FAILED, NodeState.LOST})
LEFT_BY_START = BROKEN | {NodeState.STOPPED}

UNFINISHED = frozenset(
    {
        InfrastructureState.PLANNED,
        InfrastructureState.PROVISIONING,
        InfrastructureState.PROVISIONED,
        InfrastructureState.RESIZING,
        InfrastructureState.CONFIGURING,
    }
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What ``gc`` did: names that had expired and were deleted; ids on the cloud that this client does not know."""

    deleted: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()


class Engine:
    """Brings infrastructures of one cloud to the state that is wanted.

    ``clock``, ``pool`` and ``keyring`` are for tests; left out, they are the real ones. Everything that happens is
    stored and handed to ``emit``, one event at a time, from whatever thread it happens in.
    """

    def __init__(
        self,
        store: Store,
        provider: Provider,
        contextualizer: Contextualizer,
        settings: Settings,
        emit: Emit,
        *,
        clock: Clock | None = None,
        pool: Callable[[], Executor] | None = None,
        keyring: Callable[[Path], KeyRing] | None = None,
    ) -> None:
        given: dict[str, Any] = {"clock": clock, "pool": pool, "keyring": keyring}
        chosen = {name: value for name, value in given.items() if value is not None}
        self._world = World(store, provider, contextualizer, settings, emit, **chosen)
        self._store = store

    @property
    def cloud(self) -> str:
        """The one name of its cloud, however the user called it."""
        return self._world.provider.name

    # looking

    def plan(self, name: str, cloud: str, topology: Topology) -> Plan:
        """Return what :meth:`deploy` would do now; nothing is changed. Raises what :meth:`deploy` refuses."""
        record = self._store.find(name)
        if record:
            check_cloud(record, cloud)
        catalog = self._catalog()
        digest = self._digest(record, topology) if record else None
        return admitted(self._world, record, name, topology, catalog, seen=self._seen(record), digest=digest)

    def cluster(self, record: InfrastructureRecord) -> Cluster:
        """Return the nodes of an infrastructure that run, for SSH and jobs."""
        nodes = [node for node in record.nodes if node.state in UP]
        return cluster_of(self._world, record, topology_of(record), nodes)

    def refresh(self, name: str) -> InfrastructureRecord:
        """Return the infrastructure with its nodes as the cloud shows them now; nothing is written."""
        record = self._store.infrastructure(name)
        servers = once(self._world, "listing servers", lambda: self._world.provider.list(record.id))
        return as_seen(record, servers)

    def why(self, name: str) -> tuple[str, ...]:
        """Return in plain words what is not ready, and the evidence."""
        return explain(self._store, self._world.settings, self.refresh_or_stored(name))

    def refresh_or_stored(self, name: str) -> InfrastructureRecord:
        """Return :meth:`refresh`, or what the store knows if the cloud does not answer."""
        try:
            return self.refresh(name)
        except ProviderError:
            return self._store.infrastructure(name)

    # changing

    def deploy(
        self,
        name: str,
        cloud: str,
        topology: Topology,
        *,
        ttl: timedelta | None = None,
        until: InfrastructureState = InfrastructureState.READY,
    ) -> InfrastructureRecord:
        """Make the infrastructure what the topology says: create it, change it, or continue what was interrupted.

        ``ttl``: from now on, how long it may live until ``gc`` deletes it. ``until``: ``ready``, or ``provisioned`` for
        servers that run and have their addresses; later changes of its size go as far, until the next deploy.
        """
        with self._held(name, "deploy"):
            record = self._store.find(name)
            if record:
                check_cloud(record, cloud)
            catalog = self._catalog()
            seen = self._seen(record)
            admitted(self._world, record, name, topology, catalog, seen=seen)
            wanted = replace(record or new_record(name, cloud), topology=topology, counts={}, until=until)
            if ttl is not None:
                wanted = replace(wanted, expires=self._world.clock.now() + ttl)
            journal = self._journal(wanted, record)
            return self._converge(journal, catalog, seen=seen)

    def scale(self, name: str, counts: Mapping[str, int]) -> InfrastructureRecord:
        """Give groups other numbers of nodes, until the next deploy of a template."""
        with self._existing(name, "scale") as record:
            wanted = {**record.counts, **counts}
            topology = scaled(topology_of(record), wanted)
            catalog = self._catalog()
            seen = self._seen(record)
            admitted(self._world, record, name, topology, catalog, seen=seen)
            return self._converge(self._journal(replace(record, counts=wanted), record), catalog, seen=seen)

    def stop(self, name: str, node: str | None = None) -> InfrastructureRecord:
        """Stop all nodes, or one; they keep their disks."""
        with self._existing(name, "stop") as record:
            self._require_stop_start()
            rows = chosen_nodes(record, node)
            if not any(row.state in UP | {NodeState.STOPPED} for row in rows):
                raise InputError(f"{node or record.name} does not run", hint=f"im_client show {record.name}")
            if node and rows[0].front_end:
                raise InputError(f"{node} is the front-end", hint="stop the whole infrastructure")
            journal = self._journal(record, record)
            stop(self._world, journal, {row.name for row in rows if row.state in UP})
            rest_stopped(journal, node)
            return journal.record_with_nodes

    def start(self, name: str, node: str | None = None) -> InfrastructureRecord:
        """Start all stopped nodes, or one, and wait until they are ready again."""
        with self._existing(name, "start") as record:
            self._require_stop_start()
            chosen = {row.name for row in chosen_nodes(record, node)}
            left = {row for row in record.nodes if row.state in LEFT_BY_START and row.name not in chosen}
            broken = {row for row in record.nodes if row.state in BROKEN and not row.front_end}
            if any(row.front_end for row in left):
                raise InputError("the front-end does not run", hint=f"im_client start {record.name}")
            leave = frozenset(row.name for row in left | broken)
            return self._converge(self._journal(record, record), self._catalog(), leave=leave)

    def restart(self, name: str, node: str | None = None) -> InfrastructureRecord:
        """Stop all nodes, or one, and start them again; whether a cloud's own reboot was done, no listing tells."""
        self.stop(name, node)
        return self.start(name, node)

    def delete(self, name: str) -> None:
        """Delete an infrastructure and everything that carries its mark; by its id also if the store has lost it."""
        known = self._store.find(name)
        with self._held(known.name if known else name, "delete"):
            record = self._store.find(known.id) if known else self._unknown(name)
            if record is None:
                return  # the process that had it until now has deleted it
            journal = Journal(self._store, self._world.emit, record)
            teardown(self._world, journal)
            shutil.rmtree(self._world.keys(journal.record.id).folder, ignore_errors=True)

    def gc(self, *, orphans: bool = False) -> Collected:
        """Delete what has expired, by the store or by the cloud; list the other orphans, or delete them too.

        An orphan carries our mark on the cloud and is not in the store: lost, or somebody else's.
        """
        now = self._world.clock.now()
        mine = [record for record in self._store.infrastructures() if record.cloud == self._world.provider.name]
        expired = [record.name for record in mine if record.expires and record.expires <= now]
        known = {record.id for record in self._store.infrastructures()}
        found = once(self._world, "listing infrastructures", self._world.provider.infrastructures)
        strangers = {id_: end for id_, end in sorted(found.items()) if id_ not in known}
        lapsed = [id_ for id_, end in strangers.items() if end and end <= now]
        unknown = tuple(id_ for id_ in strangers if id_ not in lapsed)
        deleted = [name for name in (*expired, *lapsed) if self._collect(name)]
        for name in unknown if orphans else ():
            self.delete(name)
        return Collected(tuple(deleted), unknown)

    def _collect(self, name: str) -> bool:
        """Delete an infrastructure unless somebody works on it; the next ``gc`` comes soon enough."""
        try:
            self.delete(name)
        except Held:
            return False
        return True

    # in common

    @contextmanager
    def _held(self, name: str, verb: str) -> Iterator[None]:
        with locks.held(self._world.settings.home / "locks", name, verb):
            yield

    @contextmanager
    def _existing(self, name: str, verb: str) -> Iterator[InfrastructureRecord]:
        found = self._store.infrastructure(name)
        with self._held(found.name, verb):
            record = self._store.infrastructure(found.id)
            check_alive(record)
            yield record

    def _journal(self, wanted: InfrastructureRecord, stored: InfrastructureRecord | None) -> Journal:
        """Return a journal whose record is stored as wanted."""
        if stored is None:
            self._store.write(wanted)
        journal = Journal(self._store, self._world.emit, wanted)
        if stored is None:
            journal.enter(InfrastructureState.PLANNED)
        elif wanted != stored:
            journal.amend()
        return journal

    def _converge(
        self,
        journal: Journal,
        catalog: Catalog,
        *,
        leave: frozenset[str] = frozenset(),
        seen: Sequence[Instance] | None = None,
    ) -> InfrastructureRecord:
        topology = scaled(topology_of(journal.record), journal.record.counts)
        try:
            prepared = reconcile(self._world, journal, topology, catalog, leave=leave, seen=seen)
            if journal.record.until is InfrastructureState.PROVISIONED:
                rest_provisioned(self._world, journal, topology)
            else:
                complete(self._world, journal, topology, prepared=prepared)
        except StoreError:
            raise
        except ImError as error:
            if journal.record.state in UNFINISHED:
                journal.enter(InfrastructureState.FAILED, error.code, str(error))
            raise
        return journal.record_with_nodes

    def _catalog(self) -> Catalog:
        return once(self._world, "reading the catalog", self._world.provider.catalog)

    def _seen(self, record: InfrastructureRecord | None) -> tuple[Instance, ...]:
        """Return the servers as the cloud lists them now: none of an infrastructure that does not exist yet."""
        return list_servers(self._world, Journal(self._store, self._world.emit, record)) if record else ()

    def _digest(self, record: InfrastructureRecord, topology: Topology) -> str | None:
        nodes = [node for node in record.nodes if node.state in UP]
        if not any(node.front_end for node in nodes):
            return None
        return self._world.contextualizer.digest(cluster_of(self._world, record, topology, nodes), topology)

    def _require_stop_start(self) -> None:
        if Capability.STOP_START not in self._world.provider.capabilities:
            raise InputError(f"the cloud {self._world.provider.name} cannot stop and start servers")

    def _unknown(self, name: str) -> InfrastructureRecord:
        """A record for an infrastructure that only the cloud knows."""
        if name not in once(self._world, "listing infrastructures", self._world.provider.infrastructures):
            self._store.infrastructure(name)  # raises with the names that there are
        record = InfrastructureRecord(name, name, self._world.provider.name)
        self._store.write(record)
        return record
