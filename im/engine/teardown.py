"""Removes everything of an infrastructure from its cloud, by its marks alone; what the store says is not needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import wait
from datetime import timedelta

from im.engine.act import ASK_AGAIN
from im.engine.calls import repeated
from im.engine.journal import Journal, Move
from im.engine.observe import list_servers
from im.engine.pace import Pace
from im.engine.world import World
from im.errors import ProviderError
from im.plan.model import InfrastructureState, Instance, NodeState


def teardown(world: World, journal: Journal) -> None:
    """Delete the servers, then release the rest, until two looks in a row find nothing.

    Nothing is written before the cloud has answered. Raises :class:`im.errors.ProviderError` with what is left if
    nothing changes any more.
    """
    work = _Teardown(world, journal)
    listed = [server.id for server in work.servers()]  # while the cloud is idle: the next looks can be brief
    journal.enter(InfrastructureState.DELETING)
    rows = [row for row in journal.nodes.values() if row.state is not NodeState.DELETING]
    journal.advance([Move(row, NodeState.DELETING) for row in rows])
    pool = world.pool()
    try:
        early = [pool.submit(work.release)] if listed else []  # what need not wait for the servers
        work.delete([*listed, *(row.id for row in journal.nodes.values() if row.id)])  # it may not show them all yet
        work.delete_servers()
        wait(early)
    finally:
        pool.shutdown(wait=False)
    work.release_all()
    while work.servers():
        work.delete_servers()
        work.release_all()
    journal.advance([Move(row, NodeState.GONE) for row in journal.nodes.values()])
    journal.enter(InfrastructureState.DELETED)


class _Teardown:
    def __init__(self, world: World, journal: Journal) -> None:
        self._world = world
        self._journal = journal
        self._pace = Pace(world.clock)
        self._asked: dict[str, float] = {}
        self._left: object = None

    def servers(self) -> tuple[Instance, ...]:
        with self._pace.looking():
            return list_servers(self._world, self._journal)

    def delete_servers(self) -> None:
        """Until none is listed, and none can appear any more from a request that was never answered."""
        while (servers := self.servers()) or self._in_flight():
            self.delete([server.id for server in servers if server.status != "deleting"])
            self._note([server.name for server in servers])
            lines = [f"server {server.name} ({server.id}) is {server.status}" for server in servers]
            self._wait([server.id for server in servers], lines)

    def release(self) -> tuple[str, ...]:
        provider, infrastructure = self._world.provider, self._journal.record.id
        return repeated(self._world, self._journal, "releasing", lambda: provider.release(infrastructure))

    def release_all(self) -> None:
        while left := self.release():
            self._wait(left, left)

    def delete(self, ids: Sequence[str]) -> None:
        """Request the end of these servers, but not all the time."""
        now = self._world.clock.monotonic()
        due = [id_ for id_ in dict.fromkeys(ids) if now - self._asked.get(id_, -ASK_AGAIN) >= ASK_AGAIN]
        if due:
            self._asked.update(dict.fromkeys(due, now))
            repeated(self._world, self._journal, "deleting servers", lambda: self._world.provider.delete(due))

    def _in_flight(self) -> bool:
        grace = timedelta(seconds=self._world.settings.absence_grace)
        now = self._world.clock.now()
        rows = self._journal.nodes.values()
        return any(not row.id and row.requested is not None and now - row.requested < grace for row in rows)

    def _note(self, listed: Sequence[str]) -> None:
        """Tell whose servers are gone for good."""
        gone = [row for row in self._journal.nodes.values() if row.id and row.name not in listed]
        self._journal.advance([Move(row, NodeState.GONE) for row in gone])

    def _wait(self, left: object, lines: Sequence[str]) -> None:
        if left != self._left:
            self._left = left
            self._pace.progress()
        limit = self._world.settings.boot_timeout
        if self._pace.idle > limit:
            text = "\n".join((f"not everything could be deleted, and nothing has changed for {limit:g} s:", *lines))
            raise ProviderError(text, hint="the same command tries again")
        self._world.clock.wait(threading.Event(), self._pace.delay())
