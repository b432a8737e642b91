"""The order of the work: one playbook for the whole topology, base first, then level by level."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from im.contextualize.inventory import OTHERS, by_nfs, group_name, home_is_shared
from im.contextualize.recipes import BASE, NFS, needs_no_packages
from im.errors import ContextualizationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from im.plan.model import Cluster
    from im.topology.model import Operation, Software, Topology

Play = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """The playbook's plays, and the files of the template that go along: path below the project -> source."""

    plays: tuple[Play, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with its evaluated inputs, and the groups whose nodes it runs on."""

    level: int
    software: str
    operation: Operation
    inputs: Mapping[str, object]
    groups: tuple[str, ...]


def site_of(cluster: Cluster, topology: Topology, inputs: Mapping[tuple[str, str], Mapping[str, object]]) -> Site:
    """Return the playbook for a cluster; ``inputs`` has the evaluated inputs by software and operation."""
    return site(
        steps(topology, inputs),
        own_homes=not home_is_shared(cluster),
        volumes=any(group.volumes for group in topology.groups),
        nfs=bool(by_nfs(cluster)),
    )


def site(steps: Sequence[Step], *, own_homes: bool = False, volumes: bool = False, nfs: bool = False) -> Site:
    """Return the playbook for these steps: ``base`` everywhere, then level by level, each waiting for the last.

    Recipes that need no packages come before the packages are waited for. ``own_homes``: no two nodes have the same
    /home. ``volumes``: some nodes have. ``nfs``: folders of the front-end are mounted on the others.
    """
    early = [step for step in steps if step.level == steps[0].level and _is_early(step)]
    plays: list[Play] = [_part(BASE, OTHERS, "own_home")] if own_homes else []
    plays += [_part(BASE, "all", "volumes")] if volumes else []
    plays.append(_play(BASE, "all", roles=[BASE]))
    plays += [_roles(step_group) for step_group in _bundles(early)]
    plays.append(_part(BASE, "all", "packages"))
    plays += [_part(NFS, f"all:!{OTHERS}", "server"), _part(NFS, OTHERS, "client")] if nfs else []
    files: dict[str, Path] = {}
    texts: dict[str, str] = {}
    for step_group in _bundles(step for step in steps if step not in early):
        first = step_group[0]
        if first.operation.kind == "role":
            plays.append(_roles(step_group))
        elif first.operation.kind == "script":
            plays.append(_script(first, files))
        else:
            plays.append(_import(first, files, texts))
    return Site(tuple(plays), files, texts)


def _is_early(step: Step) -> bool:
    return step.operation.kind == "role" and needs_no_packages(step.operation.implementation)


def _roles(same_nodes: Sequence[Step]) -> Play:
    """Return a play for roles of one level on the same groups."""
    title = ", ".join(dict.fromkeys(step.operation.implementation for step in same_nodes))
    return _play(title, _hosts(same_nodes[0]), roles=[_role(step) for step in same_nodes])


def _part(role: str, hosts: str, tasks: str) -> Play:
    """Return a play that runs one of a role's files of tasks."""
    return _play(role, hosts, tasks=[{"ansible.builtin.import_role": {"name": role, "tasks_from": tasks}}])


def steps(topology: Topology, inputs: Mapping[tuple[str, str], Mapping[str, object]]) -> tuple[Step, ...]:
    """Return the steps of a topology, in order. ``inputs`` has the evaluated inputs by software and operation.

    The same role with the same inputs on several groups of one level is one step.
    """
    merged: dict[str, Step] = {}
    for software in topology.software:
        for operation in software.operations:
            step = _step(software, operation, inputs[software.name, operation.name])
            known = merged.get(key := _same_work(step))
            groups = dict.fromkeys((*known.groups, software.host) if known else step.groups)
            merged[key] = Step(step.level, step.software, operation, step.inputs, tuple(groups))
    return tuple(sorted(merged.values(), key=lambda step: step.level))


def _step(software: Software, operation: Operation, inputs: Mapping[str, object]) -> Step:
    return Step(software.level, software.name, operation, inputs, (software.host,))


def _same_work(step: Step) -> str:
    operation = step.operation
    if operation.kind != "role":
        return f"{step.software} {operation.name}"
    return f"{step.level} {operation.implementation} {sorted(step.inputs.items(), key=str)}"


def _bundles(all_steps: Iterable[Step]) -> Iterable[list[Step]]:
    """Roles of one level on the same groups share a play, so that no node waits for another between them."""

    def key(step: Step) -> object:
        alone = None if step.operation.kind == "role" else (step.software, step.operation.name)
        return (step.level, alone, step.groups)

    for _, found in groupby(all_steps, key):
        yield list(found)


def _hosts(step: Step) -> str:
    return ":".join(group_name(group) for group in step.groups)


def _play(title: str, hosts: str, **more: object) -> Play:
    return {"name": title, "hosts": hosts, "gather_facts": False, "strategy": "free", **more}


def _role(step: Step) -> dict[str, object]:
    return {"role": step.operation.implementation, "vars": dict(step.inputs)}


def _folder(step: Step) -> str:
    return "software/" + re.sub(r"\W", "_", f"{step.software}_{step.operation.name}")


def _script(step: Step, files: dict[str, Path]) -> Play:
    """Run a script of the template; its inputs are its environment, as TOSCA has it."""
    source = Path(step.operation.implementation)
    target = f"{_folder(step)}/{source.name}"
    files[target] = source
    task = {"name": source.name, "ansible.builtin.script": {"cmd": target}}
    environment = {name: _as_text(value) for name, value in step.inputs.items()}
    return _play(step.software, _hosts(step), environment=environment, tasks=[task])


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(_as_text, value)) if isinstance(value, list) else str(value)


_BESIDE = ("roles", "files", "templates", "vars", "tasks", "handlers", "library", "group_vars")
_BESIDE_SUFFIXES = (".yml", ".yaml", ".j2")


def _import(step: Step, files: dict[str, Path], texts: dict[str, str]) -> Play:
    """Run a playbook of the template, with the inputs as variables and what lies beside it."""
    source = Path(step.operation.implementation)
    target = f"{_folder(step)}/{source.name}"
    for beside in sorted(source.parent.iterdir()) if source.parent.is_dir() else ():
        if beside != source and (beside.name in _BESIDE or beside.suffix in _BESIDE_SUFFIXES):
            files[f"{_folder(step)}/{beside.name}"] = beside
    texts[target] = dump(adapted(_load(source), step))
    return {"name": step.software, "import_playbook": target}


def adapted(document: object, step: Step) -> list[Play]:
    """Return a template's playbook for our nodes: its plays run on the software's groups, its inputs are variables.

    A file that is only a list of tasks becomes one play. Facts are gathered as the file asks for.
    """
    where = f"{step.software}, {step.operation.implementation}"
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise ContextualizationError("this is not a playbook: it must be a list of plays or of tasks", where=where)
    plays = document if any("hosts" in entry for entry in document) else [{"tasks": document}]
    return [_adapted_play(play, step) for play in plays]


def _adapted_play(play: Play, step: Step) -> Play:
    if "hosts" not in play and "tasks" not in play:
        return play
    kept = {key: value for key, value in play.items() if key not in ("hosts", "connection", "name")}
    variables = {**(play.get("vars") or {}), **step.inputs}
    return {"name": step.software, "hosts": _hosts(step), **kept, "vars": variables}


class _Tagged:
    """A YAML value with a tag of Ansible's (``!vault``, ``!unsafe``), kept as it is."""

    def __init__(self, node: yaml.Node) -> None:
        self.node = node


class _Loader(yaml.SafeLoader):
    """A safe loader that keeps values with unknown tags."""


class _Dumper(yaml.SafeDumper):
    """A safe dumper that writes kept values back."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: _Tagged(node))
_Dumper.add_representer(_Tagged, lambda _dumper, value: value.node)


def _load(source: Path) -> object:
    try:
        return yaml.load(source.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise ContextualizationError(f"cannot be read: {error.strerror}", where=str(source)) from error
    except yaml.YAMLError as error:
        raise ContextualizationError(f"is not YAML: {error}", where=str(source)) from error


def dump(plays: Sequence[Play]) -> str:
    """Return plays as YAML text."""
    return yaml.dump(list(plays), Dumper=_Dumper, sort_keys=False, width=1000)
