"""What the faces call: everything a user can do with sub-clusters, as one object.

::

    with LocalManager(load_settings()) as im:
        topology = im.validate(Path("cluster.yaml"))
        view = im.deploy("lab", "local", topology)
        code = im.mpi_run("lab", ranks=4, image="mpi.tar", words=["mpi_hello"])
        im.delete("lab")
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from im.config import Settings
from im.errors import ImError, InputError, UnknownName
from im.events import Emit, Event
from im.plan.model import Cluster, InfrastructureState, Node, Plan
from im.providers.base import Check
from im.topology.model import Topology

if TYPE_CHECKING:
    from im.engine.operations import Collected, Engine
    from im.jobs.batch.request import Container
    from im.jobs.launch import MpiOptions
    from im.jobs.shell import ShellOptions
    from im.jobs.stock import Stocked
    from im.jobs.sweep.request import Sweep
    from im.providers.base import Provider
    from im.sources.load import Reading
    from im.store.repository import InfrastructureRecord, Store
    from im.topology.dialect import Dialect


@dataclass(frozen=True, slots=True)
class View:
    """One infrastructure as its user sees it."""

    id: str
    name: str
    cloud: str
    state: str
    reason: str
    message: str
    created: datetime
    updated: datetime
    nodes: tuple[Node, ...]
    outputs: Mapping[str, object]

    def as_dict(self) -> dict[str, object]:
        """The JSON form, without anything secret."""
        hidden = {"infrastructure", "token", "configured", "host_public_key"}
        nodes = [{key: value for key, value in asdict(node).items() if key not in hidden} for node in self.nodes]
        return asdict(self) | {"outputs": dict(self.outputs), "nodes": nodes}


class LocalManager:
    """Works in this process, with the store under ``settings.home``. Use it as a context manager."""

    def __init__(self, settings: Settings, emit: Emit | None = None) -> None:
        self.settings = settings
        self.emit: Emit = emit or (lambda _event: None)
        self._store: Store | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            self._store.close()

    @property
    def store(self) -> Store:
        """The database, opened at first use."""
        if self._store is None:
            from im.store.repository import Store

            self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store = Store(self.settings.home / "im.db")
        return self._store

    def validate(
        self,
        template: Path,
        inputs: Sequence[str] = (),
        input_files: Sequence[Path] = (),
        import_map: Mapping[str, Path] | None = None,
        *,
        dialect: Dialect = "auto",
    ) -> Topology:
        """Read a template with its inputs. Raises ``TemplateError`` with every finding."""
        from im.sources.load import load, read_inputs

        return load(template, read_inputs(inputs, input_files), self.reading(import_map, dialect))

    def reading(self, import_map: Mapping[str, Path] | None = None, dialect: Dialect = "auto") -> Reading:
        """Return how this user's templates are read."""
        from im.sources.load import Reading

        folders = self.settings.import_map | dict(import_map or {})
        hosts = tuple(self.settings.import_hosts)
        cache = self.settings.cache / "topology"
        return Reading(folders, hosts, cache, self.settings.home, dialect, self.settings.galaxy)

    def plan(self, name: str, cloud: str, topology: Topology) -> Plan:
        """Return what :meth:`deploy` would do now."""
        engine = self._engine(cloud)
        return engine.plan(name, engine.cloud, topology)

    def deploy(
        self, name: str, cloud: str, topology: Topology, *, ttl: str | None = None, until: str = "ready"
    ) -> View:
        """Make the cloud match the topology; continue what was interrupted. ``until``: ``ready`` or ``provisioned``."""
        goal, lifetime = InfrastructureState(until), parse_lifetime(ttl)
        if topology.missing_roles and goal is InfrastructureState.READY:
            names = ", ".join(topology.missing_roles)
            hint = "the template's warnings say why; --until provisioned makes the machines alone"
            raise InputError(f"its playbooks use roles that cannot be had: {names}", where=name, hint=hint)
        engine = self._engine(cloud)
        return self._view(engine.deploy(name, engine.cloud, topology, ttl=lifetime, until=goal))

    def infrastructures(self) -> tuple[View, ...]:
        """Return the infrastructures of this store, as they were last seen."""
        return tuple(self._view(record) for record in self.store.infrastructures())

    def find(self, name: str) -> InfrastructureRecord:
        """Return the record of that name. Raises ``UnknownName``."""
        record = self.store.find(name)
        if record is None:
            known = ", ".join(item.name for item in self.store.infrastructures()) or "none"
            raise UnknownName(f"there is no infrastructure {name!r}", hint=f"known: {known}")
        return record

    def show(self, name: str) -> View:
        """Return one infrastructure as its cloud has it now."""
        return self._view(self._engine_of(name).refresh(name))

    def scale(self, name: str, counts: Mapping[str, int]) -> View:
        """Grow or shrink groups."""
        return self._view(self._engine_of(name).scale(name, counts))

    def stop(self, name: str, node: str | None = None) -> View:
        """Stop all nodes, or one."""
        return self._view(self._engine_of(name).stop(name, node))

    def start(self, name: str, node: str | None = None) -> View:
        """Start what is stopped and wait until it is ready."""
        return self._view(self._engine_of(name).start(name, node))

    def restart(self, name: str, node: str | None = None) -> View:
        """Stop all nodes, or one, start them again and wait until they are ready."""
        return self._view(self._engine_of(name).restart(name, node))

    def delete(self, name: str) -> None:
        """Delete an infrastructure and everything that was made for it."""
        from im.ssh.connection import close

        with suppress(ImError):
            close(self.cluster(name))
        self._engine_of(name).delete(name)

    def gc(self, cloud: str, *, orphans: bool = False) -> Collected:
        """Delete what has expired; find, and with ``orphans`` delete, what no store knows."""
        return self._engine(cloud).gc(orphans=orphans)

    def why(self, name: str) -> tuple[str, ...]:
        """Return what is not ready, in plain words, with the evidence."""
        return self._engine_of(name).why(name)

    def check(self, cloud: str) -> tuple[Check, ...]:
        """Look whether a cloud is usable."""
        return self._provider(cloud).check()

    def events(self, name: str, *, follow: bool = False) -> Iterator[Event]:
        """Yield what happened, oldest first; with ``follow``, go on as it happens."""
        record = self.find(name)
        seen, pause = 0, 0.1
        while True:
            fresh = self.store.events(record.id, after=seen)
            yield from fresh
            if not follow:
                return
            pause = 0.1 if fresh else min(2.0, pause * 1.5)
            seen = fresh[-1].seq if fresh else seen
            time.sleep(pause)

    def logs(self, name: str, node: str | None = None) -> str:
        """Return the last contextualization log, or a node's console log."""
        record = self.find(name)
        if node is not None:
            return self._provider(record.cloud).console(self._node(name, node).id)
        folder = self.settings.infrastructure_folder(record.id) / "logs"
        files = sorted(folder.glob("configure-*.log"))
        if not files:
            raise InputError(f"{name} has no contextualization log yet", hint=f"im_client events {name}")
        return files[-1].read_text(errors="replace")

    def cluster(self, name: str) -> Cluster:
        """Return the nodes of an infrastructure with what is needed to talk to them."""
        record = self.find(name)
        return self._engine(record.cloud).cluster(record)

    def inventory(self, name: str) -> str:
        """Return an Ansible inventory (JSON) that works from this machine."""
        from im.contextualize.inventory import client_inventory
        from im.ssh.config import config_file

        cluster = self.cluster(name)
        return json.dumps(client_inventory(cluster, config_file(cluster)), indent=2)

    def ssh_config(self, name: str) -> str:
        """Return OpenSSH client configuration for every node."""
        from im.ssh.config import ssh_config

        return ssh_config(self.cluster(name))

    def login_command(self, name: str, node: str | None = None, user: str | None = None) -> list[str]:
        """Return the words of the ``ssh`` command that logs in with a terminal."""
        from im.ssh.connection import command

        cluster = self.cluster(name)
        return command(cluster, self._node(name, node, cluster), user=user or cluster.user, tty=True)

    def execute(self, name: str, nodes: Sequence[str] | None, words: Sequence[str], user: str | None = None) -> int:
        """Run a command on the named nodes (None: all; empty: the front-end); return the first code that is not 0."""
        import shlex
        import subprocess

        from im.ssh.connection import command

        cluster = self.cluster(name)
        if nodes is None:
            chosen = cluster.nodes
        else:
            chosen = tuple(self._node(name, node, cluster) for node in nodes) or (cluster.front_end,)
        codes = []
        for node in chosen:
            prefix = command(cluster, node, user=user or cluster.user)
            codes.append(subprocess.run([*prefix, shlex.join(words)], check=False).returncode)
        return next((code for code in codes if code), 0)

    def put(self, name: str, node: str | None, source: Path, target: str, user: str | None = None) -> None:
        """Copy a file or folder to a node."""
        from im.ssh.transfer import put

        cluster = self.cluster(name)
        put(cluster, self._node(name, node, cluster), source, target, user=user or cluster.user)

    def get(self, name: str, node: str | None, source: str, target: Path, user: str | None = None) -> None:
        """Copy a file or folder from a node."""
        from im.ssh.transfer import get

        cluster = self.cluster(name)
        get(cluster, self._node(name, node, cluster), source, target, user=user or cluster.user)

    def mpi_run(
        self,
        name: str,
        *,
        ranks: int,
        image: str,
        words: Sequence[str],
        **options: Unpack[MpiOptions],
    ) -> int:
        """Run an MPI program, every rank in a container; return its exit code. Raises ``JobError``, ``InputError``."""
        from im.jobs.mpi import MpiJob, run

        return run(self.cluster(name), MpiJob(ranks, image, tuple(words), **options), emit=self.emit)

    def mpi_commands(
        self,
        name: str,
        *,
        ranks: int,
        image: str,
        words: Sequence[str],
        **options: Unpack[MpiOptions],
    ) -> Sequence[str]:
        """Return the command lines that :meth:`mpi_run` would perform, each with its node; nothing is changed."""
        from im.jobs.launch import MpiJob
        from im.jobs.rehearsal import commands

        return commands(self.cluster(name), MpiJob(ranks, image, tuple(words), **options))

    def batch(self, name: str, words: Sequence[str]) -> int:
        """Run ``im-batch`` with these words on the front-end, and return its exit code. Raises ``JobError``."""
        from im.jobs.batch.client import verb

        return verb(self.cluster(name), words)

    def batch_submit(self, name: str, container: Container) -> str:
        """Hand a container to the batch system and return its id. Raises ``JobError``, ``InputError``."""
        from im.jobs.batch.client import submit

        return submit(self.cluster(name), container, emit=self.emit)

    def batch_run(self, name: str, container: Container, *, forget: bool = False) -> int:
        """Run a container under the batch system to its end and return its exit code; ``forget`` it then."""
        from im.jobs.batch.client import run

        return run(self.cluster(name), container, forget=forget, emit=self.emit)

    def shell_command(
        self, name: str, node: str | None, image: str, words: Sequence[str], **options: Unpack[ShellOptions]
    ) -> list[str]:
        """Make an image ready, and return the words of the command that runs a shell, or ``words``, in a container."""
        from im.jobs.shell import shell_command

        cluster = self.cluster(name)
        return shell_command(cluster, self._node(name, node, cluster), image, words, emit=self.emit, **options)

    def images(self, name: str) -> Sequence[Stocked]:
        """Return the container images that are ready on a sub-cluster."""
        from im.jobs.stock import listing

        return listing(self.cluster(name))

    def pull_image(self, name: str, image: str, engine: str = "") -> str:
        """Make an image ready on all nodes; return its container's name."""
        from im.jobs.stock import fetch

        return fetch(self.cluster(name), image, engine, emit=self.emit).container

    def build_image(
        self, name: str, folder: Path, tag: str, arguments: Mapping[str, str], base: str = "", *, watch: bool = False
    ) -> Iterator[str]:
        """Build an image on the front-end and yield its name in the cluster's registry; with ``watch``, for ever."""
        from im.jobs.build import Recipe, build_all

        yield from build_all(self.cluster(name), Recipe(tag, folder, arguments, base), watch=watch, emit=self.emit)

    def remove_image(self, name: str, image: str, engine: str = "") -> Sequence[Stocked]:
        """Remove an image from all nodes; return what went."""
        from im.jobs.stock import remove

        return remove(self.cluster(name), image, engine)

    def sweep_start(self, name: str, sweep: Sweep, params: Path) -> str:
        """Start a scan over the points of a file and return its id. Raises ``InputError``, ``JobError``."""
        from im.jobs.sweep import client, points

        client.create(self.cluster(name), sweep, points.read(params), emit=self.emit)
        return sweep.identifier

    def sweep_follow(self, name: str, sweep: str) -> bool:
        """Wait for the end of a scan and tell how it goes; return whether all points are done."""
        from im.jobs.sweep import client

        return client.successful(client.follow(self.cluster(name), sweep, emit=self.emit))

    def sweep_resume(self, name: str, sweep: str, *, failed: bool = False) -> None:
        """Run what was never run or lost; with ``failed`` what failed."""
        from im.jobs.sweep import client

        client.start(self.cluster(name), sweep, failed=failed)

    def sweep_status(self, name: str, sweep: str | None = None) -> list[Mapping[str, object]]:
        """Return how a scan stands, or all of a sub-cluster."""
        from im.jobs.sweep import client

        cluster = self.cluster(name)
        return [client.ask(cluster, each, "status") for each in ([sweep] if sweep else client.identifiers(cluster))]

    def sweep_output(self, name: str, sweep: str, point: int) -> tuple[bytes, bytes]:
        """Return what a point wrote on standard output and error."""
        from im.jobs.sweep import client

        return client.output(self.cluster(name), sweep, point)

    def sweep_collect(self, name: str, sweep: str, target: Path) -> None:
        """Copy a table of all points and what they made to a folder of this machine."""
        from im.jobs.sweep import client

        client.collect(self.cluster(name), sweep, target)

    def sweep_cancel(self, name: str, sweep: str) -> None:
        """End a scan; what is done stays."""
        from im.jobs.sweep import client

        client.cancel(self.cluster(name), sweep)

    def _node(self, name: str, node: str | None, cluster: Cluster | None = None) -> Node:
        cluster = cluster or self.cluster(name)
        if node is None:
            return cluster.front_end
        try:
            return cluster.node(node)
        except KeyError:
            known = ", ".join(item.name for item in cluster.nodes)
            raise UnknownName(f"{name} has no node {node!r}", hint=f"its nodes: {known}") from None

    def _provider(self, cloud: str) -> Provider:
        from im.providers.registry import open_cloud

        return open_cloud(cloud, self.settings)

    def _engine(self, cloud: str) -> Engine:
        from im.engine.operations import Engine
        from im.workshop import Workshop

        return Engine(self.store, self._provider(cloud), Workshop(self.settings), self.settings, self.emit)

    def _engine_of(self, name: str) -> Engine:
        return self._engine(self.find(name).cloud)

    def _view(self, record: InfrastructureRecord) -> View:
        return View(
            id=record.id,
            name=record.name,
            cloud=record.cloud,
            state=str(record.state),
            reason=record.reason,
            message=record.message,
            created=record.created,
            updated=record.updated,
            nodes=record.nodes,
            outputs=record.outputs,
        )


def parse_lifetime(text: str | None) -> timedelta | None:
    """Turn ``30m``, ``8h`` or ``2d`` into a duration. Raises ``InputError``."""
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in units:
        raise InputError(f"{text!r} is not a lifetime", hint="a whole number and a unit: 30m, 8h or 2d")
    return timedelta(seconds=int(number) * units[unit])
