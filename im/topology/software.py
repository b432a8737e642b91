"""Software components to what runs on which group, in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from im.topology.document import Map, as_map
from im.topology.findings import did_you_mean
from im.topology.functions import Scope
from im.topology.model import Mark, Operation, Software
from im.topology.relations import machine_of
from im.topology.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.topology.nodes import NodeTemplate, Relation

OFFER: Final = "im.capabilities.Root"
RUN: Final = (
    "create",
    "pre_configure_source",
    "pre_configure_target",
    "configure",
    "post_configure_source",
    "post_configure_target",
    "start",
)
KNOWN: Final = frozenset(
    (*RUN, "stop", "delete", "add_target", "add_source", "remove_target", "target_changed", "remove_source")
)


@dataclass(frozen=True, slots=True)
class Located:
    """Where an implementation is: a role's name or an absolute path; ``problem`` says why it is nowhere."""

    kind: Literal["role", "playbook", "script"]
    path: str = ""
    problem: str = ""
    hint: str = ""


Locate = Callable[[str, str], Located]
"""Finds an implementation: its reference as written, and the file (as users see it) that it is written in."""


def anywhere(reference: str, file: str) -> Located:
    """Take every reference for a file beside the one that names it, whether it exists or not."""
    if reference.startswith("recipes/"):
        return Located("role", reference.removeprefix("recipes/"))
    return Located(kind_of(reference), str(PurePosixPath(file).parent / reference))


def kind_of(reference: str) -> Literal["playbook", "script"]:
    """Return what a file name says that it is."""
    return "playbook" if reference.lower().endswith((".yml", ".yaml")) else "script"


def read_software(world: World, ordered: Sequence[str], locate: Locate) -> tuple[Software, ...]:
    """Return the software of all groups, ordered by level, then by name."""
    reader = _Reader(world, ordered, locate)
    found = [software for node in world.nodes.values() if (software := reader.software(node)) is not None]
    return tuple(sorted(found, key=lambda software: (software.level, software.name)))


class _Reader:
    def __init__(self, world: World, ordered: Sequence[str], locate: Locate) -> None:
        self._world = world
        self._locate = locate
        self._levels = self._read_levels(ordered)
        self._incoming: dict[str, list[tuple[NodeTemplate, Relation]]] = {}
        for node in world.nodes.values():
            for link in node.relations:
                self._incoming.setdefault(link.target, []).append((node, link))

    def software(self, node: NodeTemplate) -> Software | None:
        machine = machine_of(node.name, self._world.nodes, self._world.types)
        operations = self._operations(node)
        if not machine or (machine == node.name and not operations):
            if not machine and operations and not self._world.findings.errors:
                message = f"'{node.name}' (a {node.type}) is on no machine, so that its operations do not run"
                self._world.findings.warning(node.mark, "ignored", message)
            return None
        return Software(
            node.name, node.type, machine, max(self._levels[node.name], 0), operations, self._provides(node), node.mark
        )

    def _read_levels(self, ordered: Sequence[str]) -> dict[str, int]:
        """One more than the highest of what it requires; machines without operations of their own do not count."""
        levels: dict[str, int] = {}
        for name in ordered:
            node = self._world.nodes[name]
            below = max((levels[link.target] for link in node.relations if link.target), default=-1)
            on_machine = machine_of(name, self._world.nodes, self._world.types)
            counts = on_machine and (on_machine != name or bool(self._own_operations(node)))
            levels[name] = below + 1 if counts else below
        return levels

    def _own_operations(self, node: NodeTemplate) -> list[tuple[str, Map]]:
        standard = as_map(node.interfaces.get("Standard"))
        return [(name, as_map(standard[name])) for name in RUN if as_map(standard.get(name)).get("implementation")]

    def _operations(self, node: NodeTemplate) -> tuple[Operation, ...]:
        self._check_names(node.interfaces, f"'{node.name}'")
        found = [
            (RUN.index(name), self._operation(node, name, body, Scope(node.name)))
            for name, body in self._own_operations(node)
        ]
        for link in node.relations:
            self._check_names(link.interfaces, f"the requirement '{link.name}' of '{node.name}'")
            found += self._of_relation(node, node, link, "_source")
        for source, link in self._incoming.get(node.name, ()):
            found += self._of_relation(node, source, link, "_target")
        return tuple(operation for _, operation in sorted(found, key=lambda one: one[0]) if operation is not None)

    def _of_relation(
        self, node: NodeTemplate, source: NodeTemplate, link: Relation, end: str
    ) -> list[tuple[int, Operation | None]]:
        scope = Scope("", source.name, link.target, link.properties)
        configure = as_map(link.interfaces.get("Configure"))
        return [
            (RUN.index(name), self._operation(node, name, as_map(body), scope))
            for name, body in configure.items()
            if str(name).endswith(end) and name in RUN and as_map(body).get("implementation")
        ]

    def _operation(self, node: NodeTemplate, name: str, body: Map, scope: Scope) -> Operation | None:
        mark = body.value_mark("implementation")
        reference, file = _reference(body["implementation"], mark, node)
        if not reference:
            self._world.findings.error(
                mark, "artifact", f"the implementation of '{name}' of '{node.name}' names no file"
            )
            return None
        located = self._locate(reference, file)
        if located.problem:
            self._world.findings.error(
                mark, "artifact", f"{located.problem} (operation '{name}' of '{node.name}')", located.hint
            )
            return None
        inputs = as_map(body.get("inputs"))
        values = {str(key): self._input(value, scope, inputs.value_mark(key)) for key, value in inputs.items()}
        return Operation(node.name, name, located.kind, located.path, values, mark)

    def _input(self, value: object, scope: Scope, mark: Mark) -> object:
        if (
            isinstance(value, Map)
            and "type" in value
            and set(value)
            <= {"type", "default", "description", "required", "constraints", "entry_schema", "value", "status"}
        ):
            value = value.get("value", value.get("default"))
        return plain(self._world.resolver.resolve(value, scope, mark))

    def _check_names(self, interfaces: Map, what: str) -> None:
        for interface in ("Standard", "Configure"):
            operations = as_map(interfaces.get(interface))
            for name in operations:
                if name not in KNOWN:
                    hint = did_you_mean(str(name), KNOWN)
                    self._world.findings.error(
                        operations.key_mark(name), "unknown-operation", f"{what} has no operation '{name}'", hint
                    )

    def _provides(self, node: NodeTemplate) -> dict[str, dict[str, object]]:
        return {
            capability.name: {
                str(name): plain(self._world.capability(node, capability.name, str(name))) for name in capability.values
            }
            for capability in node.capabilities.values()
            if self._world.types.derives("capability", capability.type, OFFER)
        }


def _reference(implementation: object, mark: Mark, node: NodeTemplate) -> tuple[str, str]:
    """Return the file that an implementation names (directly, as ``primary`` or ``file``, or by an artifact).

    And where that is written.
    """
    file = mark.file
    while isinstance(implementation, Map):
        implementation = implementation.get("primary", implementation.get("file"))
    if isinstance(implementation, str) and implementation in node.artifacts:
        file = node.artifacts.key_mark(implementation).file
        artifact = node.artifacts[implementation]
        implementation = artifact.get("file") if isinstance(artifact, Map) else artifact
    return (implementation if isinstance(implementation, str) else "", file)


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a template holds
    """Return plain dictionaries, lists and numbers, for Ansible and for JSON."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, float) else value
