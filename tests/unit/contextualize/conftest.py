from __future__ import annotations

from collections.abc import Callable

import pytest

from im.plan.model import Cluster, Node
from im.ssh.keys import KeyRing
from im.topology.model import NodeGroup, Operation, Software, Topology

TopologyMaker = Callable[..., Topology]


@pytest.fixture
def cluster(tmp_path) -> Cluster:
    """A front-end and two working nodes with a shared home."""
    keys = KeyRing(tmp_path / "keys")
    keys.ensure()
    nodes = tuple(
        Node(
            "1a2b3c4d",
            name,
            group,
            index,
            f"token-{name}",
            id=f"id-{name}",
            private_address=f"10.0.0.{number}",
            host_public_key=keys.host_key(name).public,
            cpus=2,
            slots=slots,
            front_end=group == "front",
        )
        for number, (name, group, index, slots) in enumerate(
            [("front", "front", 1, 0), ("worker-1", "worker", 1, 2), ("worker-2", "worker", 2, 2)], start=1
        )
    )
    return Cluster("1a2b3c4d", "lab", "hpc", str(keys.folder), nodes, shared=("/home",), engines=("udocker",))


@pytest.fixture
def topology() -> TopologyMaker:
    def make(*software: Software) -> Topology:
        return Topology(groups=(NodeGroup("front", front_end=True), NodeGroup("worker", count=2)), software=software)

    return make


@pytest.fixture
def software() -> Callable[..., Software]:
    """One software with one operation; the kind follows from the implementation."""

    def make(name, implementation, host="worker", level=0, operation="configure", **inputs) -> Software:
        text = str(implementation)
        kind = "playbook" if text.endswith((".yml", ".yaml")) else "script" if "/" in text else "role"
        return Software(name, "", host, level, (Operation(name, operation, kind, text, inputs),))

    return make
