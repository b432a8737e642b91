"""Everything outside that the engine works with, as one value."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from im.clock import Clock, SystemClock
from im.config import Settings
from im.events import Emit
from im.plan.model import Cluster, Node
from im.providers.base import Provider
from im.ssh.jump import jump_host_of
from im.ssh.keys import KeyRing
from im.store.repository import Store
from im.topology.model import Topology

PROBES = 64
"""Nodes that are asked at once whether they answer."""


class Contextualizer(Protocol):
    """What turns reachable nodes into a cluster. Every call may be repeated."""

    def reach(self, cluster: Cluster, node: Node) -> None:
        """Log in to a node that shows its own host key, giving it that key where it must be.

        Raises :class:`im.errors.NotReachable` with what is missing, another ``SshError`` if waiting will not help.
        """

    def prepare(self, cluster: Cluster, emit: Emit) -> None:
        """Bring to the front-end what it needs to configure the others; they may still be booting."""

    def configure(self, cluster: Cluster, topology: Topology, emit: Emit) -> None:
        """Configure all nodes. Raises :class:`im.errors.ContextualizationError`."""

    def preflight(self, cluster: Cluster, topology: Topology, emit: Emit) -> None:
        """Prove that the nodes work as one. Raises :class:`im.errors.PreflightError`."""

    def digest(self, cluster: Cluster, topology: Topology) -> str:
        """Return what decides whether nodes must be configured again."""


@dataclass(frozen=True, slots=True)
class World:
    """The cloud, the store, time, and who is told what happens."""

    store: Store
    provider: Provider
    contextualizer: Contextualizer
    settings: Settings
    emit: Emit
    clock: Clock = field(default_factory=SystemClock)
    pool: Callable[[], Executor] = lambda: ThreadPoolExecutor(PROBES, thread_name_prefix="im-probe")
    keyring: Callable[[Path], KeyRing] = KeyRing

    @property
    def jump_host(self) -> str:
        """``user@host[:port]`` through which the front-end is reached, "" for none."""
        return jump_host_of(self.provider.name, self.settings.jump_hosts)

    def keys(self, infrastructure: str) -> KeyRing:
        """Return the SSH material of an infrastructure."""
        return self.keyring(self.settings.infrastructure_folder(infrastructure) / "ssh")
