"""Gives servers that run what they cannot have before: public addresses, and volumes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from dataclasses import replace
from typing import Any

from im.engine.admission import wants_public
from im.engine.calls import repeated
from im.engine.journal import Journal
from im.engine.world import World
from im.plan.model import Node, NodeSpec, NodeState
from im.providers.base import Capability
from im.topology.model import Topology


class Equipment:
    """What the nodes of one infrastructure should have.

    ``spec`` says of a row what the cloud was asked for; ``prepare`` sees to what addresses and volumes need.
    """

    def __init__(
        self,
        world: World,
        journal: Journal,
        topology: Topology,
        pool: Executor,
        *,
        spec: Callable[[Node], NodeSpec],
        prepare: Callable[[], None],
    ) -> None:
        self._world = world
        self._journal = journal
        self._topology = topology
        self._pool = pool
        self._spec = spec
        self._prepare = prepare
        self._published: set[str] = set()
        self._attached: set[str] = set()

    def provide(self) -> None:
        """Ask for all that is missing at once; addresses are there then, volumes when they are listed.

        What cannot be had does not cost the others theirs.
        """
        rows = [row for row in self._journal.nodes.values() if row.state is NodeState.BOOTING]
        hidden = [row for row in rows if self._lacks_public_address(row)]
        bare = [row for row in rows if self._lacks_volumes(row) and row.token not in self._attached]
        if not hidden and not bare:
            return
        self._prepare()
        self._published.update(row.token for row in hidden)
        addresses = [self._pool.submit(self._address, row) for row in hidden]
        volumes = [self._pool.submit(self._attach, bare)] if bare else []
        asked: list[Future[Any]] = [*addresses, *volumes]
        wait(asked)
        given = [(row, found.result()) for row, found in zip(hidden, addresses, strict=True) if not found.exception()]
        self._journal.save([replace(row, public_address=address) for row, address in given if address])
        for future in asked:
            future.result()

    def complete(self, row: Node) -> bool:
        """Whether a node that boots has all that it should have; one that has answered needs nothing more."""
        if row.state is not NodeState.BOOTING:
            return True
        return bool(row.address) and not self._lacks_public_address(row) and not self._lacks_volumes(row)

    def _lacks_public_address(self, row: Node) -> bool:
        """Whether a node should have a public address, and the cloud has not been asked for it."""
        if row.public_address or row.token in self._published:
            return False
        return wants_public(self._world, self._topology.group(row.group), front_end=row.front_end)

    def _lacks_volumes(self, row: Node) -> bool:
        wanted = {volume.name for volume in self._topology.group(row.group).volumes}
        return has_volumes(self._world) and not wanted <= {volume.name for volume in row.volumes}

    def _address(self, row: Node) -> str:
        provider = self._world.provider
        return repeated(self._world, self._journal, "giving a public address", lambda: provider.publish(row.id))

    def _attach(self, rows: list[Node]) -> None:
        specs = [self._spec(row) for row in rows]
        provider = self._world.provider
        if repeated(self._world, self._journal, "attaching volumes", lambda: provider.attach(specs)):
            self._attached.update(row.token for row in rows)


def has_volumes(world: World) -> bool:
    """Tell whether the cloud has volumes; where it has none, a folder of the root disk takes their place."""
    return Capability.VOLUMES in world.provider.capabilities
