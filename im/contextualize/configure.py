"""Turns running nodes into a cluster, and says so as it goes."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from im.contextualize import recipes
from im.contextualize.attributes import attributes
from im.contextualize.digest import digest_of
from im.contextualize.events import Failure, failure, translate
from im.contextualize.front_end import TOOLED, keep_modes, prepare_front_end, push_keys
from im.contextualize.inventory import inventory, node_packages, used_roles
from im.contextualize.playbook import dump, site_of
from im.data_files import data_folder
from im.errors import ContextualizationError
from im.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from im.config import Settings
    from im.contextualize.playbook import Site
    from im.events import Emit, Kind
    from im.plan.model import Cluster
    from im.topology.model import Topology

_CACHES = shutil.ignore_patterns("__pycache__", ".git")
_GALAXY = "galaxy"
"""The folder of the project for roles of Ansible Galaxy, as our ansible.cfg names it."""

__all__ = ["configure", "digest", "prepare_front_end"]


def configure(
    cluster: Cluster,
    topology: Topology,
    *,
    folder: Path,
    settings: Settings,
    emit: Emit,
    prepared: Callable[[], None] | None = None,
) -> None:
    """Run the recipes and the template's own operations on all nodes; may be repeated, and is quick when all is done.

    ``prepared`` waits for a :func:`prepare_front_end` that was begun before. The log of each run is
    ``folder/configure-<time>.log``. Raises :class:`im.errors.ContextualizationError` with node, role, task and log file
    when a task fails; the nodes stay up, and the same call continues.
    """
    push_keys(cluster, node_packages(cluster, topology)[cluster.front_end.name])
    from im.contextualize.runner import play  # takes a while: packages are being installed by now

    if prepared is not None:
        prepared()
    used = replace(cluster, engines=tuple({*cluster.engines, *recipes.roles(topology)}))
    if prepared is None or set(used.engines) & TOOLED > set(cluster.engines) & TOOLED:
        prepare_front_end(used, settings, emit)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"configure-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"
    plan = site_of(cluster, topology, evaluated_inputs(cluster, topology))
    with tempfile.TemporaryDirectory(prefix="im-") as private, log.open("a", encoding="utf-8") as text:
        log.chmod(0o600)
        _write_project(Path(private), cluster, topology, plan)
        watch = _Watch(cluster, emit, text)
        try:
            status = play(
                cluster, Path(private), forks=settings.forks, silence=settings.task_timeout, handle=watch.handle
            )
        except ContextualizationError as error:
            raise ContextualizationError(error.message, where=error.where, hint=f"{error.hint}; log: {log}") from error
    watch.conclude(status, log)
    keep_modes(used, settings)


def digest(cluster: Cluster, topology: Topology) -> str:
    """Return what decides that nodes must be configured again: recipes, operations, evaluated inputs, members."""
    return digest_of(cluster, topology, evaluated_inputs(cluster, topology))


def evaluated_inputs(cluster: Cluster, topology: Topology) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the inputs of every operation with its functions resolved, by software and operation."""
    from im.topology.functions import evaluate

    known = attributes(cluster, topology)
    return {
        (software.name, operation.name): {name: evaluate(value, known) for name, value in operation.inputs.items()}
        for software in topology.software
        for operation in software.operations
    }


def _write_project(private: Path, cluster: Cluster, topology: Topology, plan: Site) -> None:
    """Write ansible-runner's private data: project with roles, playbook and the template's files; inventory."""
    project = private / "project"
    for role in used_roles(cluster, topology):
        shutil.copytree(recipes.folder(role), project / "roles" / role, ignore=_CACHES)
    shutil.copy(data_folder("contextualization") / "ansible.cfg", project)
    shutil.copytree(data_folder("contextualization") / "action_plugins", project / "action_plugins", ignore=_CACHES)
    roles = {f"{_GALAXY}/{name}": Path(folder) for name, folder in topology.roles.items() if folder}
    for target, source in (roles | dict(plan.files)).items():
        _copy(source, project / target)
    for target, content in plan.texts.items():
        (project / target).parent.mkdir(parents=True, exist_ok=True)
        (project / target).write_text(content, encoding="utf-8")
    (project / "site.yml").write_text(dump(plan.plays), encoding="utf-8")
    (private / "inventory").mkdir()
    (private / "inventory" / "hosts.json").write_text(json.dumps(inventory(cluster, topology)), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, target, ignore=_CACHES)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    except OSError as error:
        raise ContextualizationError(f"cannot be read: {error.strerror}", where=str(source)) from error


class _Watch:
    """Follows one run: events out, log written, failures remembered."""

    def __init__(self, cluster: Cluster, emit: Emit, log: TextIO) -> None:
        self.cluster = cluster
        self.emit = emit
        self.log = log
        self.failures: dict[str, Failure] = {}
        self.last_error = "it gave no reason"
        for node in cluster.nodes:
            self._node(node.name, "started")

    def handle(self, raw: Mapping[str, Any]) -> None:
        if text := raw.get("stdout"):
            if "ERROR" in text:
                self.last_error = text.strip().splitlines()[0].removeprefix("[ERROR]: ")
            self.log.write(f"{text}\n")
            self.log.flush()
        event = translate(self.cluster.infrastructure, raw)
        if event is None:
            return
        self.emit(event)
        if event.kind == "failed" and event.subject not in self.failures:
            self.failures[event.subject] = failure(event)
            self._node(event.subject, "failed", self.failures[event.subject].message)

    def conclude(self, status: str, log: Path) -> None:
        """Say how it ended for each node; raise for the first failure."""
        if status == "successful":
            for node in self.cluster.nodes:
                self._node(node.name, "finished")
            return
        hint = f"mend the cause and run the same command again, it continues; log: {log}"
        if not self.failures:
            raise ContextualizationError(f"Ansible failed: {self.last_error}", where="the playbook", hint=hint)
        first, *others = self.failures.values()
        more = f" (and {len(others)} other nodes failed: {', '.join(f.node for f in others)})" if others else ""
        raise ContextualizationError(f"{first.message}{more}", where=first.where, hint=hint)

    def _node(self, name: str, kind: Kind, message: str = "") -> None:
        self.emit(
            Event(self.cluster.infrastructure, "node", name, "configure", kind, code="configure", message=message)
        )
