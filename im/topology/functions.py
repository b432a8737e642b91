"""TOSCA's functions.

What can be known from the template is put in its place, what needs live nodes stays and is evaluated later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from im.topology.document import Float, Map, Seq
from im.topology.findings import Findings, did_you_mean
from im.topology.relations import machine_of
from im.topology.syntax import FUNCTIONS, call, descend, holds_function, is_function

if TYPE_CHECKING:
    from collections.abc import Collection

    from im.topology.model import Mark
    from im.topology.nodes import NodeTemplate
    from im.topology.relations import Nodes
    from im.topology.types import Types

FindFile = Callable[[str, "Mark"], object]
"""Returns where a file that an artifact names is."""
Attributes = Mapping[str, Mapping[str, object]]
_ADDRESSES: Final = {"ip_address": "private_address"}
LIVE: Final = ("private_address", "public_address", "name", "tosca_id", "tosca_name", "user", "login")
"""The attributes that machines have when they are there."""
MAX_DEPTH: Final = 100
MAX_STEPS: Final = 100_000
STEPS_PER_NODE: Final = 200
MAX_TEXT: Final = 1_000_000


def evaluate(value: object, attributes: Attributes) -> object:
    """Return ``value`` with every function in it replaced by what ``attributes`` say, by node template and name.

    What a node does not have yet (an address that it was not given) is None, and so is every text that is made with it.
    """
    if is_function(value) and isinstance(value, dict):
        name, arguments = call(value)
        return _evaluate_call(name, [evaluate(argument, attributes) for argument in arguments], attributes)
    if isinstance(value, Mapping):
        return {key: evaluate(item, attributes) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [evaluate(item, attributes) for item in value]
    return value


def _evaluate_call(name: str, arguments: list[object], attributes: Attributes) -> object:
    if name == "get_attribute":
        return descend(attributes.get(str(arguments[0]), {}), arguments[1:])
    return _text_function(name, arguments)


def text(value: object) -> str:
    """Return ``value`` as TOSCA's text functions show it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Float) else str(value)


def _text_function(name: str, arguments: list[object]) -> object:
    if any(argument is None for argument in arguments):
        return None
    if name == "concat":
        return "".join(map(text, arguments))[:MAX_TEXT]
    if name == "join":
        items = arguments[0] if isinstance(arguments[0], list) else [arguments[0]]
        return text(arguments[1] if len(arguments) > 1 else "").join(map(text, items))
    if name == "token" and len(arguments) == 3 and text(arguments[1]):
        return descend(text(arguments[0]).split(text(arguments[1])), arguments[2:])
    return None


@dataclass(frozen=True, slots=True)
class Scope:
    """What SELF, HOST, SOURCE and TARGET mean where a value stands.

    ``relation``: the properties of a relationship that is SELF.
    """

    node: str = ""
    source: str = ""
    target: str = ""
    relation: Map | None = None


_ARITY: Final = {
    "get_property": 2,
    "get_attribute": 2,
    "get_artifact": 2,
    "concat": 1,
    "join": 1,
    "token": 3,
    "get_input": 1,
    "get_nodes_of_type": 1,
}


class Resolver:
    """Replaces the functions of a template that its inputs and its own values answer."""

    def __init__(
        self,
        inputs: Mapping[str, object],
        nodes: Nodes,
        types: Types,
        findings: Findings,
        *,
        declared: Collection[str] = (),
        find_file: FindFile | None = None,
    ) -> None:
        self._find_file = find_file
        self._inputs = inputs
        self._declared = declared
        self._nodes = nodes
        self._types = types
        self._findings = findings
        self._open: list[tuple[str, str]] = []
        self._depth = 0
        self._steps = 0
        self._most_steps = MAX_STEPS + STEPS_PER_NODE * len(nodes)

    def quiet(self) -> Resolver:
        """Return a resolver that finds the same answers and reports nothing, for what was read before."""
        return Resolver(
            self._inputs,
            self._nodes,
            self._types,
            Findings(),
            declared=self._declared,
            find_file=self._find_file,
        )

    def resolve(self, value: object, scope: Scope, mark: Mark) -> object:
        """Return ``value`` with its functions answered.

        Those that need live nodes stay, with the names of nodes instead of SELF.
        """
        self._steps += 1
        if self._depth >= MAX_DEPTH or self._steps > self._most_steps:
            self._findings.error(
                mark, "too-deep", "the functions of the template lead from one to the next without end"
            )
            return None
        self._depth += 1
        try:
            return self._resolve(value, scope, mark)
        finally:
            self._depth -= 1

    def _resolve(self, value: object, scope: Scope, mark: Mark) -> object:
        if is_function(value) and isinstance(value, dict):
            return self._call(value, scope, mark)
        if isinstance(value, Map):
            copy = Map(value.file, value.place)
            for key, item in value.items():
                copy.put(key, self.resolve(item, scope, value.value_mark(key) if value.file else mark), value.spot(key))
            return copy
        if isinstance(value, list):
            items = Seq()
            if isinstance(value, Seq):
                items.file, items.place, items.places = value.file, value.place, value.places
            items.extend(self.resolve(item, scope, mark) for item in value)
            return items
        return value

    def _call(self, value: dict[str, object], scope: Scope, mark: Mark) -> object:
        name, raw = call(value)
        if name not in FUNCTIONS:
            self._findings.error(mark, "function", f"the function '{name}' is not supported")
            return None
        if len(raw) < _ARITY[name]:
            self._findings.error(mark, "function", f"'{name}' needs {_ARITY[name]} arguments or more, not {len(raw)}")
            return None
        arguments = [self.resolve(argument, scope, mark) for argument in raw]
        if name == "get_input":
            return self._input(arguments, mark)
        if name == "get_nodes_of_type":
            return [node.name for node in self._nodes.values() if self._types.derives("node", node.type, arguments[0])]
        if name in {"concat", "join", "token"}:
            return {name: arguments} if holds_function(arguments) else _text_function(name, arguments)
        return self._entity_function(name, arguments, scope, mark)

    def _input(self, arguments: list[object], mark: Mark) -> object:
        wanted = str(arguments[0])
        if wanted not in self._inputs:
            hint = did_you_mean(wanted, self._inputs) or "declare it under topology_template, inputs"
            self._findings.error(mark, "unknown-input", f"the template declares no input '{wanted}'", hint)
            return None
        value = descend(self._inputs[wanted], arguments[1:])
        self._steps += len(value) if isinstance(value, (list, dict)) else 0
        return value

    def _entity_function(self, name: str, arguments: list[object], scope: Scope, mark: Mark) -> object:
        if arguments[0] == "SELF" and scope.relation is not None:
            return self._of_relation(scope, [str(arguments[1]), *arguments[2:]], mark)
        node = self._entity(str(arguments[0]), scope, mark)
        if node is None:
            return None
        member, path = str(arguments[1]), list(arguments[2:])
        if name == "get_artifact":
            return self._artifact(node, member, mark)
        climb = arguments[0] == "HOST"
        if name == "get_attribute":
            return self._awaited(self._attribute(node, member, path, mark), mark)
        return self._property(node, member, path, mark, climb=climb)

    def _of_relation(self, scope: Scope, path: list[object], mark: Mark) -> object:
        return self.resolve(descend(scope.relation, path), Scope(scope.source), mark)

    def _entity(self, name: str, scope: Scope, mark: Mark) -> NodeTemplate | None:
        own = self._nodes.get(scope.node)
        meant = {
            "SELF": scope.node,
            "SOURCE": scope.source or scope.node,
            "TARGET": scope.target,
            "HOST": own.host(self._types) if own else "",
        }.get(name, name)
        if meant in self._nodes:
            return self._nodes[meant]
        if meant in self._declared:
            return None
        message = f"there is no node '{name}'" if meant == name else f"'{name}' means no node here"
        self._findings.error(mark, "unknown-node", message, did_you_mean(name, self._nodes))
        return None

    def _artifact(self, node: NodeTemplate, name: str, mark: Mark) -> object:
        artifact = node.artifacts.get(name)
        if artifact is None:
            self._findings.error(
                mark,
                "artifact",
                f"'{node.name}' has no artifact '{name}'",
                did_you_mean(name, map(str, node.artifacts)),
            )
            return None
        holder = artifact if isinstance(artifact, Map) else node.artifacts
        key = "file" if isinstance(artifact, Map) else name
        file = self.resolve(holder.get(key), Scope(node.name), holder.value_mark(key))
        if self._find_file is None or not isinstance(file, str) or "://" in file:
            return file
        return self._find_file(file, holder.value_mark(key))

    def _attribute(self, node: NodeTemplate, name: str, path: list[object], mark: Mark) -> object:
        """Attributes that a node does not have are those of its host; requirements come first, as TOSCA has it."""
        if path and name not in node.attributes:
            for link in node.relations:
                if link.name == name and link.target:
                    return self._address(link.target, path)
        if name in node.definitions and name not in node.attributes:
            return self._property(node, name, path, mark, climb=False)
        if name in node.attributes or machine_of(node.name, self._nodes, self._types) == node.name:
            return {"get_attribute": [node.name, name, *path]}
        if name in node.capabilities:
            return self._address(node.name, path)
        host = self._nodes.get(node.host(self._types))
        return self._attribute(host, name, path, mark) if host else {"get_attribute": [node.name, name, *path]}

    def _awaited(self, value: object, mark: Mark) -> object:
        """Report an attribute that no machine will ever have: what is made with it stays empty."""
        if is_function(value) and isinstance(value, dict):
            node, member, *path = call(value)[1] if "get_attribute" in value else (None, None)
            if node is not None and member not in LIVE:
                message = f"the attribute '{'.'.join(map(str, (member, *path)))}' of '{node}' stays empty"
                self._findings.warning(mark, "ignored", message, f"there are: {', '.join(LIVE)}")
        return value

    def _address(self, name: str, path: list[object]) -> object:
        """An endpoint's ``ip_address`` is the address of the machine below it."""
        machine = machine_of(name, self._nodes, self._types) or name
        if len(path) == 1 and str(path[0]) in _ADDRESSES:
            return {"get_attribute": [machine, _ADDRESSES[str(path[0])], 0]}
        return {"get_attribute": [machine, *path]}

    def _property(self, node: NodeTemplate, name: str, path: list[object], mark: Mark, *, climb: bool) -> object:
        """Return a property's value; with more than one name, requirements and capabilities come first."""
        if path and name in node.capabilities and str(path[0]) in node.capabilities[name].definitions:
            values = node.capabilities[name].values
            return self.resolve(descend(values, path), Scope(node.name), mark)
        for link in node.relations:
            if path and link.name == name and link.target and name not in node.capabilities:
                return self._of_target(self._nodes[link.target], path, mark)
        if name in node.definitions:
            return self._value(node, name, path, mark)
        host = self._nodes.get(node.host(self._types)) if climb else None
        if host is not None:
            return self._property(host, name, path, mark, climb=True)
        message = f"'{node.name}' has no property '{'.'.join(map(str, [name, *path]))}'"
        self._findings.error(mark, "unknown-property", message, did_you_mean(name, node.definitions))
        return None

    def _of_target(self, target: NodeTemplate, path: list[object], mark: Mark) -> object:
        for capability in target.capabilities.values():
            if str(path[0]) in capability.definitions and str(path[0]) not in target.definitions:
                return self.resolve(descend(capability.values, path), Scope(target.name), mark)
        return self._property(target, str(path[0]), path[1:], mark, climb=False)

    def _value(self, node: NodeTemplate, name: str, path: list[object], mark: Mark) -> object:
        if (node.name, name) in self._open:
            circle = " -> ".join(f"{owner}.{member}" for owner, member in [*self._open, (node.name, name)])
            self._findings.error(mark, "cycle", f"the properties refer to each other in a circle: {circle}")
            return None
        self._open.append((node.name, name))
        try:
            raw = node.properties.get(name)
            value = self.resolve(raw, Scope(node.name), mark)
            if isinstance(value, Float) and node.definitions[name].schema.type == "version":
                return value.text
            return descend(value, path)
        finally:
            self._open.pop()
