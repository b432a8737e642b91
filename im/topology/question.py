"""Says a template in the words that tosca-parser knows, which are those of TOSCA 1.0.

One merged template with its functions answered: so it reads no file, meets no unused type and does not ask again
for what the inputs have settled.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from im.topology.document import Document, Float, Map, as_map
from im.topology.functions import LIVE, Scope
from im.topology.nodes import requirement_items, short_name
from im.topology.syntax import call, descend, is_function
from im.topology.types import SECTIONS, TypeDefinition, Types
from im.topology.world import World, lower_bound

if TYPE_CHECKING:
    from im.topology.nodes import NodeTemplate

TOPOLOGY: Final = "topology_template"
_ANY_SIZE: Final = "1 MB"
"""For tosca-parser, which wants the size of a volume that exists, too."""

_EVERYWHERE: Final = "tosca_id"
"""An attribute that all nodes have: it stands for ours, of which TOSCA knows some as one text and others not at all."""


@dataclass(frozen=True, slots=True)
class Question:
    """A template as plain data with only the types that it uses, and the values of its inputs.

    ``root`` gives findings their place.
    """

    template: Mapping[str, Any]
    inputs: Mapping[str, object]
    root: Map


def question(template: Document, world: World, inputs: Mapping[str, object]) -> Question:
    """Return what tosca-parser has to judge."""
    plain = _Plain(world, inputs)
    topology = template.root.get(TOPOLOGY)
    merged: dict[str, Any] = {"tosca_definitions_version": "tosca_simple_yaml_1_3"}
    if isinstance(topology, Map):
        merged[TOPOLOGY] = plain.topology(topology)
    for found in _used_types(topology, world.types):
        merged.setdefault(SECTIONS[found.kind], {})[found.name] = plain.type(found)
    values = {name: plain.value(value) for name, value in inputs.items() if value is not None}
    return Question(merged, values, template.root)


def _used_types(value: object, types: Types) -> Iterator[TypeDefinition]:
    """Yield the types (none of TOSCA's own) that texts in ``value`` name, and those that these name in turn."""
    seen: set[int] = set()
    waiting = [*types.defined_in("template"), *_named(value, types)]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting.extend(_named(found.body, types))


def _named(value: object, types: Types) -> Iterator[TypeDefinition]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield from types.named(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


class _Plain:
    """Makes plain data of what the template holds."""

    def __init__(self, world: World, inputs: Mapping[str, object]) -> None:
        self._world = world
        self._resolver = world.resolver.quiet()
        self._inputs = inputs

    def topology(self, topology: Map) -> dict[str, Any]:
        """Return the topology without inputs and policies: inputs are filled in, policies are not followed."""
        result: dict[str, Any] = {
            key: self.value(topology[key]) for key in ("relationship_templates", "groups") if topology.get(key)
        }
        outputs = as_map(topology.get("outputs"))
        if outputs:
            result["outputs"] = {
                name: {"value": self._answered(as_map(body).get("value"), "")} for name, body in outputs.items()
            }
        return result | {"node_templates": {name: self._node(node) for name, node in self._world.nodes.items()}}

    def _node(self, node: NodeTemplate) -> dict[str, Any]:
        """Return a node: values answered, conditions on machines as their numbers, operations without their inputs."""
        kept = ("type", "description", "metadata", "artifacts", "interfaces")
        result: dict[str, Any] = {key: self.value(node.body[key]) for key in kept if node.body.get(key)}
        _flatten(result)
        if node.relations:
            result["requirements"] = self._requirements(node)
        if node.body.get("properties"):
            result["properties"] = self._values(node.body["properties"], node.definitions, node.name)
        if "volume_id" in result.get("properties", {}):
            result["properties"].setdefault("size", _ANY_SIZE)
        capabilities = {
            name: {
                "properties": self._values(as_map(body)["properties"], node.capabilities[name].definitions, node.name)
            }
            for name, body in as_map(node.body.get("capabilities")).items()
            if as_map(body).get("properties")
        }
        _complete(capabilities.get("scalable"))
        return result | ({"capabilities": capabilities} if capabilities else {})

    def _requirements(self, node: NodeTemplate) -> list[dict[str, Any]]:
        """Return the requirements, each with the node that was found for it: tosca-parser looks for none by type."""
        result = []
        for (name, assignment, _), link in zip(requirement_items(node.body), node.relations, strict=True):
            body = self.value(assignment) if isinstance(assignment, Map) else {}
            body.pop("node_filter", None)
            _flatten(body.get("relationship"))
            if link.target:
                result.append({name: body | {"node": link.target} if body else link.target})
        return result

    def _values(self, values: Map, known: Container[object], node: str) -> dict[str, Any]:
        """Return the values that the type knows; in a template without errors, others are tolerated ones of IM's."""
        return _filled(
            {name: lower_bound(self._answered(value, node)) for name, value in values.items() if name in known}
        )

    def _answered(self, value: object, node: str) -> Any:  # noqa: ANN401 - whatever a template holds
        return self.value(self._resolver.resolve(value, Scope(node), Map().mark))

    def type(self, found: TypeDefinition) -> dict[str, Any]:
        """Return the body of a type."""
        body: dict[str, Any] = self.value(found.body) or {}
        _flatten(body)
        return body

    def value(self, value: object) -> Any:  # noqa: ANN401 - whatever a template holds
        """Return plain data, with prefixed names of types in full."""
        if isinstance(value, dict):
            if is_function(value) and "get_input" in value:
                name, *path = call(value)[1]
                return self.value(descend(self._inputs.get(str(name)), path))
            if is_function(value) and "get_attribute" in value:
                node, member, *_ = *call(value)[1], "", ""
                if member in LIVE:
                    return {"get_attribute": [node, _EVERYWHERE]}
            return {
                key: {"type": item} if key == "entry_schema" and isinstance(item, str) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, str):
            return next((found.name for found in self._world.types.named(value)), value) if ":" in value else value
        return float(value) if isinstance(value, Float) else value


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what an optional input left empty."""
    return {
        name: _filled(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }


def _complete(scalable: dict[str, dict[str, Any]] | None) -> None:
    """Leave out a number of instances without its limits, which tosca-parser compares without looking."""
    if scalable and not {"min_instances", "max_instances"} <= scalable["properties"].keys():
        scalable["properties"].pop("default_instances", None)


def _flatten(entity: object) -> None:
    """Put operations directly into their interface, without their inputs: those are answered and checked already.

    Other interfaces than those that run are left out: tosca-parser breaks on some of them.
    """
    if not isinstance(entity, dict) or not isinstance(entity.get("interfaces"), dict):
        return
    entity["interfaces"] = {
        name: body for name, body in entity["interfaces"].items() if short_name(name) in {"Standard", "Configure"}
    }
    for name, interface in entity["interfaces"].items():
        if isinstance(interface, dict):
            flat = {
                key: item for key, item in interface.items() if key not in {"operations", "notifications", "inputs"}
            }
            flat |= interface.get("operations") or {}
            entity["interfaces"][name] = {key: _without_inputs(item) for key, item in flat.items()}


def _without_inputs(operation: object) -> object:
    return (
        {key: item for key, item in operation.items() if key != "inputs"} if isinstance(operation, dict) else operation
    )
