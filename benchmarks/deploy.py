"""`im_client deploy` on provider local, against a floor that does only the work itself.

The floor starts the same nodes with the same provider and installs the same packages by plain parallel ssh: no plan,
no Ansible, no preflight. Both start from the same bare base image and the same warm package cache; the runs are
interleaved, and the figure is the median of the ratios. ``python benchmarks/deploy.py 2 8 32`` chooses the numbers of
workers. From 64 workers on only ours runs, for the client's memory.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from im.config import Settings, load_settings
from im.contextualize.recipes import packages
from im.errors import NotReachable
from im.plan.model import Cluster, Identity, Node, NodeSpec
from im.providers.base import Environment
from im.providers.local import LocalProvider
from im.ssh.connection import close, run
from im.ssh.keys import KeyRing
from im.ssh.verified import login

ROOT = Path(__file__).resolve().parents[1]
LARGE = 64
CLIENT = Path(sys.executable).with_name("im_client")
INSTALL = (
    "DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends"
    " -o Dpkg::Options::=--force-unsafe-io install "
)


def floor(workers: int, settings: Settings, *, install: bool = True) -> float:
    """Start 1 + ``workers`` nodes, install the packages on all of them by parallel ssh; return seconds."""
    infrastructure = "f1008000"
    provider = LocalProvider(settings, "local")
    remove(provider, infrastructure)
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyRing(Path(folder))
        keys.ensure()
        names = ["frontend", *(f"worker-{i}" for i in range(1, workers + 1))]
        identities = {
            n: Identity("root", (keys.client_public,), keys.host_key(n).private, keys.host_key(n).public) for n in names
        }
        started = time.perf_counter()
        provider.prepare(
            Environment(infrastructure, "floor", images=("debian-12",), shared=("/home",)), lambda _event: None
        )
        provider.create([spec(infrastructure, i, name, identities[name]) for i, name in enumerate(names)])
        nodes = tuple(node(i, identities[i.name].host_public_key) for i in provider.list(infrastructure))
        keys.write_known_hosts(nodes)
        cluster = Cluster(infrastructure, "floor", "root", folder, nodes, via_front_end=False)
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(lambda one: until_up(cluster, one), nodes))
            if install:
                statuses = list(
                    pool.map(lambda one: run(cluster, one, ["sh", "-c", install_on(one)], timeout=3600).status, nodes)
                )
                if any(statuses):
                    raise SystemExit(f"the floor's own install failed: {statuses}")
        seconds = time.perf_counter() - started
        close(cluster)
        remove(provider, infrastructure)
    return seconds


def install_on(one: Node) -> str:
    """Return the command that installs what the recipes want on this node: as on ours, some on the front-end alone."""
    return INSTALL + " ".join(packages(["base", "udocker", "openmpi"], once=one.front_end, front_end=one.front_end))


def remove(provider: LocalProvider, infrastructure: str) -> None:
    """Delete the floor's nodes, and what an interrupted run left of them."""
    provider.delete([one.id for one in provider.list(infrastructure)])
    while provider.list(infrastructure) or provider.release(infrastructure):
        time.sleep(0.05)


def spec(infrastructure: str, index: int, name: str, identity: Identity) -> NodeSpec:
    """The same node that the template asks for."""
    group = "frontend" if index == 0 else "worker"
    return NodeSpec(
        infrastructure,
        group,
        index,
        name,
        f"token-{index}",
        2,
        10**9,
        "debian-12",
        shared=("/home",),
        identity=identity,
    )


def node(instance: object, host_public_key: str) -> Node:
    """The instance as something to ssh to."""
    return Node(
        instance.infrastructure, instance.name, instance.group, instance.index, instance.token, id=instance.id,
        private_address=instance.private_address, host_public_key=host_public_key, front_end=instance.index == 0,
    )  # fmt: skip


def until_up(cluster: Cluster, one: Node) -> None:
    """Wait for its SSH server."""
    while True:
        with ExitStack() as open_things, suppress(NotReachable):
            login(cluster, one, [one.host_public_key], timeout=5, open_things=open_things)
            return
        time.sleep(0.02)


def ours(workers: int, settings: Settings) -> tuple[float, int]:
    """Deploy the shipped template with ``im_client``; return seconds and the client's peak memory in bytes."""
    name = f"bench{workers}"
    environment = os.environ | {"IM_HOME": str(settings.home)}
    template = str(ROOT / "tosca_templates" / "mpi_cluster.yaml")
    started = time.perf_counter()
    words = [CLIENT, "deploy", template, "--name", name, "--input", f"workers={workers}"]
    client = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = client.stderr.read().decode()
    _, status, usage = os.wait4(client.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(errors)
    subprocess.run([CLIENT, "delete", name, "--yes"], env=environment, capture_output=True, check=True)
    return seconds, usage.ru_maxrss * 1024


def alone(size: int, settings: Settings) -> None:
    """Deploy many nodes once, for the client's memory."""
    seconds, memory = ours(size, settings)
    print(f"deploy 1+{size}: im {seconds:.1f} s, client {memory / 2**20:.0f} MiB", flush=True)


def main(sizes: list[int], rounds: int = 3) -> None:
    """Measure all sizes that are asked for."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    settings = load_settings()
    floor(1, settings)
    ours(1, settings)
    if pairs := [size for size in sizes if size < LARGE]:
        compare(pairs, rounds, settings)
    for size in sizes:
        if size >= LARGE:
            alone(size, settings)


def compare(sizes: list[int], rounds: int, settings: Settings) -> None:
    """Print one line per size, then growth and node start."""
    medians = {}
    for size in sizes:
        pairs = [(floor(size, settings), *ours(size, settings)) for _ in range(rounds if size < 16 else 1)]
        floors, deploys, memory = zip(*pairs, strict=True)
        medians[size] = statistics.median(floors), statistics.median(deploys)
        ratio = statistics.median(d / f for f, d, _ in pairs)
        print(
            f"deploy 1+{size}: floor {medians[size][0]:.1f} s, im {medians[size][1]:.1f} s, ratio {ratio:.2f}"
            f" ({len(pairs)} pairs), client {max(memory) / 2**20:.0f} MiB",
            flush=True,
        )
    small, large = min(sizes), max(sizes)
    growth = [medians[large][i] / medians[small][i] for i in (0, 1)]
    print(
        f"growth 1+{small} to 1+{large}: floor x{growth[0]:.2f}, im x{growth[1]:.2f}, ratio {growth[1] / growth[0]:.2f}"
    )
    print(f"node start alone, 64 nodes until all answer on SSH: {floor(63, settings, install=False):.1f} s")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [2, 8, 32])
