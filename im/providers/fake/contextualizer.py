"""What the engine needs besides a cloud, for servers that nobody can log in to."""

from __future__ import annotations

import hashlib

from im.errors import NotReachable
from im.events import Emit, Event
from im.plan.model import Cluster, Node
from im.providers.fake.provider import FakeProvider
from im.topology.model import Topology


class FakeContextualizer:
    """Says that all went well. ``done`` lists the steps; ``failures`` maps steps to errors that they raise."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self.done: list[str] = []
        self.failures: dict[str, Exception] = {}

    def reach(self, cluster: Cluster, node: Node) -> None:  # noqa: ARG002
        """Raise :class:`im.errors.NotReachable` unless the fake server's SSH answers."""
        if not self._provider.answers(node.id):
            raise NotReachable(f"{node.private_address} refuses connections to port 22", hint="see its console log")

    def prepare(self, cluster: Cluster, emit: Emit) -> None:  # noqa: ARG002
        """Do nothing."""
        self._step("prepare")

    def configure(self, cluster: Cluster, topology: Topology, emit: Emit) -> None:  # noqa: ARG002
        """Say of each node that it is configured."""
        self._step("configure")
        emit(Event(cluster.infrastructure, "infrastructure", cluster.name, "configure", "progress"))

    def preflight(self, cluster: Cluster, topology: Topology, emit: Emit) -> None:  # noqa: ARG002
        """Do nothing."""
        self._step("preflight")

    def digest(self, cluster: Cluster, topology: Topology) -> str:
        """Return a digest of the members and the software."""
        members = [(node.name, node.private_address) for node in cluster.nodes]
        return hashlib.sha256(repr((members, topology.software)).encode()).hexdigest()[:16]

    def _step(self, name: str) -> None:
        self.done.append(name)
        if error := self.failures.get(name):
            raise error
