"""One sub-cluster of 1 + 2 nodes for all end-to-end tests of a run, made the way a user makes it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec import structs
from subcluster import SubCluster, mpi_archive
from xdist.scheduler import LoadFileScheduling

from im.api import LocalManager
from im.config import Settings, default_home, load_settings
from im.data_files import data_folder
from im.plan.model import Node

SLURM = {"test_slurm.py", "test_slurm_mpi.py", "test_sweep.py"}


class ByCluster(LoadFileScheduling):
    """Lets processes share the work: a file's tests stay together, and so do all that need the cluster with Slurm."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid)).name
        return "slurm" if file in SLURM else file


def pytest_xdist_make_scheduler(config, log):
    return ByCluster(config, log)


@pytest.fixture(scope="session")
def cache() -> Path:
    """What can be made again outlives the tests: base image, wheels, tools, the MPI image."""
    folder = Path(os.environ.get("IM_TEST_CACHE") or default_home() / "cache").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def new_home(cache) -> Iterator[Callable[[], Settings]]:
    """Makes settings with a home of their own, and the cache that all share."""
    with TemporaryDirectory(prefix="im-e2e-", dir="/var/tmp") as folder:

        def make() -> Settings:
            home = Path(folder) / secrets.token_hex(4)
            home.mkdir()
            (home / "cache").symlink_to(cache)
            return structs.replace(load_settings(), home=home)

        yield make


@contextmanager
def deployed(
    new_home: Callable[[], Settings], prefix: str, inputs: Sequence[str], template: str = "mpi_cluster.yaml"
) -> Iterator[SubCluster]:
    """Deploy a template that we ship, in a home of its own; delete what came of it in the end."""
    settings = new_home()
    name = f"{prefix}-{secrets.token_hex(2)}"
    try:
        with LocalManager(settings) as im:
            topology = im.validate(data_folder("tosca_templates") / template, inputs)
            im.deploy(name, "local", topology)
        yield SubCluster(name, settings)
    finally:
        with LocalManager(settings) as im:
            if im.store.find(name):
                im.delete(name)


@pytest.fixture(scope="session")
def subcluster(new_home) -> Iterator[SubCluster]:
    """A front-end and two working nodes with two slots each: ready. Tests leave it as they find it."""
    with deployed(new_home, "e2e", ["workers=2", "worker_cpus=2"]) as made:
        yield made


@pytest.fixture(scope="session")
def batch_cluster(new_home) -> Iterator[SubCluster]:
    """A front-end and two working nodes with Slurm, and the users ann and ben on all of them."""
    with deployed(new_home, "bat", ["workers=2", "worker_cpus=2"], "slurm_cluster.yaml") as made:
        add_ann_and_ben(made)
        yield made


@pytest.fixture(scope="session")
def full_batch_cluster(new_home) -> Iterator[SubCluster]:
    """A front-end with Slurm and its database, and a worker with Docker, Podman and udocker, for ann and ben."""
    with deployed(new_home, "full", [], str(Path(__file__).parent / "templates" / "batch.yaml")) as made:
        add_ann_and_ben(made)
        yield made


def add_ann_and_ben(made: SubCluster) -> None:
    """Give two people accounts on all nodes."""
    for node in made.cluster.nodes:
        made.on(node.name, "for u in ann:3001 ben:3002; do useradd -u ${u#*:} -U -M -s /bin/bash ${u%:*}; done")
    made.on("frontend", "for u in ann ben; do mkdir -m 700 /home/$u && chown $u: /home/$u; done")


@pytest.fixture(scope="session")
def engine_cluster(new_home) -> Iterator[SubCluster]:
    """A front-end that works and one worker, with Docker, Podman and LXC."""
    with deployed(new_home, "eng", [], str(Path(__file__).parent / "templates" / "engines.yaml")) as made:
        yield made


@pytest.fixture
def another(new_home):
    """Deploys a sub-cluster that the test may break."""
    return partial(deployed, new_home)


@pytest.fixture
def worker(subcluster) -> Node:
    """The second working node."""
    return subcluster.cluster.node("worker-2")


@pytest.fixture(scope="session")
def mpi_image(cache) -> Path:
    """The archive that ``images/mpi/build.sh`` makes, with a program of threads beside its own."""
    programs = data_folder("images") / "mpi" / "mpi_hello.c", Path(__file__).parent / "programs" / "heap.c"
    return mpi_archive(cache, "e2e-mpi.tar", *programs)
