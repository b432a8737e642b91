"""Asks the cloud for what the plan says: first the rows, then the calls, few of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from im.engine.calls import once, repeated
from im.engine.equipment import has_volumes
from im.engine.journal import Journal, Move
from im.engine.observe import Observer
from im.engine.world import World
from im.errors import NoCapacity, ProviderError
from im.plan.desired import DesiredNode, request_of
from im.plan.match import Match, match
from im.plan.model import Catalog, Identity, Instance, Node, NodeSpec, NodeState
from im.providers.base import Capability, Environment
from im.ssh.keys import HostKey
from im.topology.model import NodeGroup, Topology

ASK_AGAIN = 5.0
"""Seconds until a server that is still there is asked to go once more."""


class Actor:
    """The hands of the engine for one infrastructure."""

    def __init__(
        self,
        world: World,
        journal: Journal,
        observer: Observer,
        topology: Topology,
        catalog: Catalog,
        *,
        pool: Executor,
    ) -> None:
        self._world = world
        self._pool = pool
        self._makes_alike = Capability.MULTI_CREATE in world.provider.capabilities
        self._journal = journal
        self._observer = observer
        self._topology = topology
        self._matches: Mapping[str, Match] = {
            group.name: match(group, catalog) for group in topology.groups if group.count
        }
        self._keys = world.keys(journal.record.id)
        self._asked: dict[str, float] = {}
        self._prepared = False

    # creating

    def create(self, nodes: Sequence[DesiredNode]) -> tuple[Move, ...]:
        """Request these nodes, one call per group; a node that was requested before keeps its token.

        Returns the changes of state; what the cloud has no room for has failed. Raises what else the cloud says, once
        all groups have been asked for.
        """
        self.prepare()
        known = self._journal.nodes
        self._journal.advance(
            [Move(known[node.name], NodeState.GONE) for node in nodes if _is_over(known.get(node.name))]
        )
        self._journal.plan([self._row(node) for node in nodes])
        self._tell_what_replaces_volumes({node.group for node in nodes})
        calls = [(rows, self._request(rows)) for group in self._topology.groups if (rows := self._rows(nodes, group))]
        moves: list[Move] = []
        errors: list[ProviderError] = []
        for rows, answer in calls:
            try:
                moves += self._requested(rows, answer)
            except ProviderError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return tuple(moves)

    def _rows(self, nodes: Sequence[DesiredNode], group: NodeGroup) -> list[Node]:
        return [self._journal.nodes[node.name] for node in nodes if node.group == group.name]

    def adopt(self, instances: Iterable[Instance]) -> None:
        """Write rows for servers that carry our mark and that the store has forgotten."""
        wanted = {group.name: group for group in self._topology.groups}
        rows = []
        for instance in instances:
            front_end = wanted[instance.group].front_end and instance.index == 1
            node = DesiredNode(instance.name, instance.group, instance.index, front_end)
            rows.append(replace(self._row(node), token=instance.token))
        self._journal.plan(rows)

    def _tell_what_replaces_volumes(self, groups: Collection[str]) -> None:
        for group in self._topology.groups if not has_volumes(self._world) else ():
            places = [volume.mount for volume in group.volumes if volume.mount]
            places += ["the system disk"] if group.boot_volume else []
            if group.name in groups and places:
                message = f"this cloud has no volumes: {', '.join(places)} of {group.name} is on the root disk"
                self._journal.note("create", "note", "volumes", message)

    def prepare(self) -> None:
        """Have the cloud make what the servers stand on, once a process: the one before may have been killed at it."""
        if self._prepared:
            return
        record, provider = self._journal.record, self._world.provider
        images = tuple(dict.fromkeys(found.image.id for found in self._matches.values()))
        shared = tuple(dict.fromkeys(folder for group in self._topology.groups for folder in group.shared))
        topology = self._topology
        environment = Environment(
            record.id, record.name, topology.networks, images, shared, topology.groups, record.expires
        )
        self._keys.ensure()
        repeated(
            self._world, self._journal, "preparing the cloud", lambda: provider.prepare(environment, self._journal.tell)
        )
        self._prepared = True

    def _row(self, node: DesiredNode) -> Node:
        now = self._world.clock.now()
        if (row := self._journal.nodes.get(node.name)) and row.state is NodeState.REQUESTED:
            self._observer.sightings.forget(row.token)
            return replace(row, requested=now)
        image, flavor = self._matches[node.group]
        return Node(
            infrastructure=self._journal.record.id,
            name=node.name,
            group=node.group,
            index=node.index,
            token=secrets.token_hex(8),
            user=image.user,
            host_public_key=self._first_key(node.group, node.name).public,
            cpus=flavor.cpus,
            memory=flavor.memory,
            front_end=node.front_end,
            image=image.id,
            flavor=flavor.id,
            request=request_of(self._topology.group(node.group)),
            requested=now,
        )

    def _request(self, rows: Sequence[Node]) -> Callable[[], tuple[Instance, ...]]:
        """Make the call where the cloud makes groups at once, else when the answer is asked for."""
        specs = [self.spec(row) for row in rows]
        call = partial(once, self._world, "creating servers", partial(self._world.provider.create, specs))
        return self._pool.submit(call).result if self._makes_alike else call

    def _requested(self, rows: Sequence[Node], answer: Callable[[], tuple[Instance, ...]]) -> tuple[Move, ...]:
        try:
            instances = answer()
        except NoCapacity as error:
            return self._refused(rows, error)
        except ProviderError as error:
            if error.retryable:  # perhaps it happened: the listings will tell
                self._journal.note("create", "retry", error.code, f"{rows[0].group}: {error}")
                return ()
            self._refused(rows, error)
            raise
        return self._observer.take(instances)

    def _refused(self, rows: Sequence[Node], error: ProviderError) -> tuple[Move, ...]:
        moves = tuple(Move(row, NodeState.FAILED, error.code, str(error)) for row in rows)
        self._journal.advance(moves)
        return moves

    def spec(self, row: Node) -> NodeSpec:
        """Return what the cloud is asked for."""
        group = self._topology.group(row.group)
        return NodeSpec(
            infrastructure=row.infrastructure,
            group=row.group,
            index=row.index,
            name=row.name,
            token=row.token,
            cpus=row.cpus,
            memory=row.memory,
            image=row.image,
            flavor=row.flavor,
            disk=group.hardware.disk,
            public=group.public,
            networks=group.networks,
            ports=group.ports,
            shared=group.shared,
            identity=self._identity(row),
            volumes=group.volumes,
            availability_zone=group.availability_zone,
            placement=group.placement,
            boot_volume=group.boot_volume,
            user_data=group.user_data,
            key_pair=group.key_pair,
        )

    def _identity(self, row: Node) -> Identity:
        keys = self._keys
        host = self._first_key(row.group, row.name)
        return Identity(row.user, (keys.client_public, keys.cluster_public), host.private, host.public)

    def _first_key(self, group: str, name: str) -> HostKey:
        """Return the host key that a node begins with: its group's where servers are made alike, else its own.

        A front-end that is alone is always made alone.
        """
        found = self._topology.group(group)
        alone = found.front_end and found.count == 1
        return self._keys.group_key(group) if self._makes_alike and not alone else self._keys.host_key(name)

    # everything else

    def delete(self, names: Iterable[str]) -> bool:
        """Request the end of these nodes; returns whether any was not requested before."""
        rows = [self._journal.nodes[name] for name in names if name in self._journal.nodes]
        now = self._world.clock.now()
        fresh = [replace(row, requested=now) for row in rows if row.state is not NodeState.DELETING]
        self._journal.advance([Move(row, NodeState.DELETING) for row in fresh])
        return bool(fresh)

    def sweep(self) -> None:
        """Ask for the end of what should not be there: deleted nodes and strays; and again if they are still listed."""
        now = self._world.clock.monotonic()
        ids = [id_ for id_ in self._ending() if now - self._asked.get(id_, -ASK_AGAIN) >= ASK_AGAIN]
        if ids:
            self._asked.update(dict.fromkeys(ids, now))
            repeated(self._world, self._journal, "deleting servers", lambda: self._world.provider.delete(ids))

    def _ending(self) -> Iterable[str]:
        instances = self._observer.binding.instances
        for row in self._journal.nodes.values():
            server = instances.get(row.name)
            if row.state is NodeState.DELETING and row.id and (server is None or server.status != "deleting"):
                yield row.id
        yield from (stray.id for stray in self._observer.binding.strays)

    def start(self, names: Iterable[str]) -> tuple[Move, ...]:
        """Request that these stopped nodes run again."""
        now = self._world.clock.now()
        rows = [replace(self._journal.nodes[name], requested=now) for name in names]
        ids = [row.id for row in rows]
        repeated(self._world, self._journal, "starting servers", lambda: self._world.provider.start(ids))
        moves = tuple(Move(row, NodeState.BOOTING) for row in rows)
        self._journal.advance(moves)
        return moves


def _is_over(row: Node | None) -> bool:
    """Whether a row stands for a server that does not exist, and not for one that was just asked for."""
    return row is not None and row.state is not NodeState.REQUESTED
