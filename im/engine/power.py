"""Stops servers and waits until they have stopped."""

from __future__ import annotations

import threading
from collections.abc import Collection

from im.engine.calls import repeated
from im.engine.journal import Journal
from im.engine.observe import Observer
from im.engine.pace import Pace
from im.engine.reconcile import RUNS
from im.engine.world import World
from im.errors import ProviderError
from im.plan.model import InfrastructureState
from im.plan.observe import UP


def stop(world: World, journal: Journal, names: Collection[str]) -> None:
    """Stop these nodes. Raises :class:`im.errors.ProviderError` if the cloud does not finish it."""
    ids = [journal.nodes[name].id for name in names]
    if ids:
        repeated(world, journal, "stopping servers", lambda: world.provider.stop(ids))
    observer, pace = Observer(world, journal), Pace(world.clock)
    while running := [name for name in names if name in journal.nodes and journal.nodes[name].state in UP]:
        if observer.look(journal.nodes.keys()):
            pace.progress()
        if pace.idle > world.settings.boot_timeout:
            raise ProviderError(f"the cloud has not stopped {', '.join(running)}", hint="the same command tries again")
        world.clock.wait(threading.Event(), pace.delay())


def rest_stopped(journal: Journal, node: str | None) -> None:
    """Come to rest with all nodes stopped, or with one."""
    before = journal.record.state
    if node and before in RUNS:
        journal.enter(InfrastructureState.DEGRADED, "stopped", f"{node} is stopped")
    elif not node and before is not InfrastructureState.STOPPED:
        journal.enter(InfrastructureState.STOPPED, "stopped")
