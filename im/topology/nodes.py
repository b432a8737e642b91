"""Node templates as values: what each one assigns, laid over what its type defines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from im.topology.document import Map, as_map, as_seq, pairs
from im.topology.findings import Findings, did_you_mean
from im.topology.schema import Property, properties_of
from im.topology.types import refine

if TYPE_CHECKING:
    from im.topology.model import Mark
    from im.topology.types import Types

_DIRECTIVES: Final = frozenset(("substitute", "substitutable"))
"""Followed by :mod:`im.topology.substitution`, before the nodes are read."""
HOSTED_ON: Final = "tosca.relationships.HostedOn"
_OPERATION_KEYS: Final = frozenset(
    ("type", "inputs", "description", "operations", "notifications", "derived_from", "version", "metadata")
)


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability of a node: its type, its properties' definitions and the values that they have."""

    name: str
    type: str
    definitions: dict[str, Property]
    values: Map


@dataclass(frozen=True, slots=True)
class Relation:
    """One requirement of a node template, with the node that fulfils it ("" = none was found)."""

    name: str
    target: str
    type: str
    properties: Map
    interfaces: Map
    mark: Mark


@dataclass(slots=True)
class NodeTemplate:
    """A node template: ``properties`` and capability values are raw, they may hold functions."""

    name: str
    type: str
    body: Map
    mark: Mark
    definitions: dict[str, Property] = field(default_factory=dict)
    properties: Map = field(default_factory=Map)
    attributes: Map = field(default_factory=Map)
    capabilities: dict[str, Capability] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    interfaces: Map = field(default_factory=Map)
    artifacts: Map = field(default_factory=Map)

    def host(self, types: Types) -> str:
        """Return the name of the node that this one is hosted on, "" for none."""
        hosts = [link for link in self.relations if link.target and types.derives("relationship", link.type, HOSTED_ON)]
        return next((link.target for link in hosts if link.name == "host"), hosts[0].target if hosts else "")


def read_nodes(topology: Map, types: Types, findings: Findings) -> dict[str, NodeTemplate]:
    """Return the node templates whose type is known; the others are findings.

    Relations are added by :mod:`im.topology.relations`.
    """
    section = as_map(topology.get("node_templates"))
    nodes: dict[str, NodeTemplate] = {}
    for key, body in section.items():
        if not isinstance(key, str):
            findings.error(section.key_mark(key), "form", f"the name of a node must be a text, not {key}", "quote it")
        elif isinstance(body, Map) and isinstance(body.get("type"), str):
            found = types.find("node", body["type"])
            if found is None:
                message = f"there is no node type '{body['type']}'"
                findings.error(body.value_mark("type"), "unknown-type", message, types.suggestion("node", body["type"]))
            else:
                nodes[key] = _read_node(key, found.name, section, types, findings)
    return nodes


def _read_node(name: str, kind: str, section: Map, types: Types, findings: Findings) -> NodeTemplate:
    body, mark = section[name], section.key_mark(name)
    definitions = types.remember(
        ("properties", kind), lambda: properties_of(types.merged("node", kind, "properties"), types)
    )
    for key in ("copy", "directives", "node_filter"):
        if key in body and not (key == "directives" and set(map(str, as_seq(body[key]))) <= _DIRECTIVES):
            findings.warning(body.key_mark(key), "ignored", f"'{key}' of a node template is not followed")
    return NodeTemplate(
        name,
        kind,
        body,
        mark,
        definitions=definitions,
        properties=with_defaults(as_map(body.get("properties")), definitions, mark),
        attributes=types.merged("node", kind, "attributes"),
        capabilities=_read_capabilities(name, kind, body, types, findings),
        interfaces=_interfaces(kind, body, types),
        artifacts=_join(types.merged("node", kind, "artifacts"), as_map(body.get("artifacts"))),
    )


def with_defaults(assigned: Map, definitions: dict[str, Property], mark: Mark) -> Map:
    """Return the assigned values with the defaults of what is not assigned."""
    values = Map(assigned.file or mark.file, assigned.place if assigned.file else (mark.line, mark.column))
    for key, value in assigned.items():
        values.put(str(key), value, assigned.spot(key))
    for key, definition in definitions.items():
        if definition.default is not None and values.get(key) is None:
            place = definition.default_mark
            values.put(key, definition.default, (place.file, (place.line, place.column), (place.line, place.column)))
    return values


def _read_capabilities(name: str, kind: str, body: Map, types: Types, findings: Findings) -> dict[str, Capability]:
    defined = types.merged("node", kind, "capabilities")
    assigned = as_map(body.get("capabilities"))
    for key in assigned:
        if key not in defined:
            message = f"'{name}' has no capability '{key}'"
            hint = did_you_mean(str(key), map(str, defined)) or f"a {kind} has {', '.join(map(str, defined))}"
            findings.error(assigned.key_mark(key), "unknown-capability", message, hint)
    return {
        str(key): _capability(kind, str(key), content, as_map(assigned.get(key)), assigned, types=types)
        for key, content in defined.items()
    }


def _capability(node: str, name: str, definition: object, assignment: Map, holder: Map, *, types: Types) -> Capability:
    kind, definitions = types.remember(("capability", node, name), lambda: _definitions(definition, types))
    values = with_defaults(as_map(assignment.get("properties")), definitions, holder.key_mark(name))
    return Capability(name, kind, definitions, values)


def _definitions(definition: object, types: Types) -> tuple[str, dict[str, Property]]:
    """Return the type of a capability and its properties, as the node type refines them."""
    kind = definition if isinstance(definition, str) else as_map(definition).get("type", "tosca.capabilities.Root")
    section = refine(types.merged("capability", kind, "properties"), as_map(as_map(definition).get("properties")))
    merged = Map()
    for key, body in as_map(section).items():
        inherited = types.merged("capability", kind, "properties").get(key)
        merged.put(key, refine(inherited, body), as_map(section).spot(key))
    return types.name("capability", kind), properties_of(merged, types)


def _interfaces(kind: str, body: Map, types: Types) -> Map:
    chain = types.chain("node", kind)
    if body.get("interfaces") is None:
        return types.remember(("interfaces", kind), lambda: join_interfaces(chain, None))
    return join_interfaces(chain, body["interfaces"])


def _join(*sections: Map) -> Map:
    joined = Map()
    for section in sections:
        for key, value in section.items():
            joined.put(key, value, section.spot(key))
    return joined


def join_interfaces(chain: Any, own: object) -> Map:  # noqa: ANN401 - a chain of type definitions
    """Return the operations of every interface, the nearest definition over the inherited ones."""
    joined = Map()
    for section in [found.body.get("interfaces") for found in reversed(chain)] + [own]:
        interfaces = as_map(section)
        for name, body in interfaces.items():
            short = short_name(name)
            operations = joined.get(short)
            if operations is None:
                operations = Map()
                joined.put(short, operations, interfaces.spot(name))
            _add_operations(operations, as_map(body))
    return joined


def short_name(interface: object) -> str:
    """Return the last part of an interface's name: ``Standard`` for ``tosca.interfaces.node.lifecycle.Standard``."""
    return str(interface).rpartition(".")[2]


def _add_operations(operations: Map, body: Map) -> None:
    shared = as_map(body.get("inputs"))
    for section in (body, as_map(body.get("operations"))):
        for name, content in section.items():
            if section is body and name in _OPERATION_KEYS:
                continue
            operation = _operation(content, section, name, shared)
            operations.put(name, refine(operations.get(name), operation), section.spot(name))


def _operation(content: object, holder: Map, name: object, shared: Map) -> Map:
    file, place, value_place = holder.spot(name)
    operation = Map(file, place)
    if isinstance(content, Map):
        for key, value in content.items():
            operation.put(key, value, content.spot(key))
    elif content is not None:
        operation.put("implementation", content, (file, place, value_place))
    if shared:
        operation.put("inputs", _join(shared, as_map(operation.get("inputs"))), (file, place, value_place))
    return operation


def requirement_items(body: Map) -> list[tuple[str, Any, Map]]:
    """Return name, assignment and holder of each requirement that a node template assigns."""
    return list(pairs(as_seq(body.get("requirements"))))
