"""What the engine needs besides a cloud, for servers that nobody can log in to."""

from __future__ import annotations

import hashlib

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

    def reachable(self, cluster: Cluster, node: Node) -> bool:  # noqa: ARG002
        """Tell whether the fake server's SSH answers."""
        return self._provider.answers(node.id)

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
