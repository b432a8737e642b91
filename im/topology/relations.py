"""Requirements: which node fulfils which, and what nothing fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from im.topology.document import Map, as_map
from im.topology.filters import Filter
from im.topology.findings import Findings, did_you_mean
from im.topology.model import Mark
from im.topology.nodes import HOSTED_ON, NodeTemplate, Relation, join_interfaces, requirement_items, with_defaults
from im.topology.schema import properties_of

if TYPE_CHECKING:
    from im.topology.types import Types

Nodes = dict[str, NodeTemplate]
_NO_INPUTS: Final[Mapping[str, object]] = MappingProxyType({})
_ROOT: Final = "tosca.relationships.DependsOn"


def relate(
    nodes: Nodes, topology: Map, types: Types, findings: Findings, inputs: Mapping[str, object] = _NO_INPUTS
) -> None:
    """Give every node its relations.

    Requirements that are unknown, aim at nothing, or lack a node that fulfils them are findings. ``inputs`` answer
    ``get_input`` in what node filters look at.
    """
    templates = as_map(topology.get("relationship_templates"))
    declared = {str(name) for name in as_map(topology.get("node_templates"))}
    for node in nodes.values():
        finder = _Finder(node, nodes, declared, templates, types, findings=findings, inputs=inputs)
        for name, assignment, holder in requirement_items(node.body):
            node.relations.append(finder.relation(name, assignment, holder))
        _check_required(node, types, findings)


class _Finder:
    def __init__(
        self,
        node: NodeTemplate,
        nodes: Nodes,
        declared: set[str],
        templates: Map,
        types: Types,
        *,
        findings: Findings,
        inputs: Mapping[str, object],
    ) -> None:
        self._node = node
        self._nodes = nodes
        self._declared = declared
        self._templates = templates
        self._types = types
        self._findings = findings
        self._inputs = inputs
        self._definitions = types.merged("node", node.type, "requirements")

    def relation(self, name: str, assignment: object, holder: Map) -> Relation:
        mark = holder.key_mark(name)
        definition = self._definition(name, mark)
        body = as_map(assignment)
        wanted = assignment if isinstance(assignment, str) else body.get("node")
        spot = holder.value_mark(name) if wanted is assignment else body.value_mark("node") if "node" in body else mark
        wants = [Filter(one["node_filter"], self._inputs, self._findings) for one in (definition, body)
                 if one.get("node_filter") is not None]  # fmt: skip
        target = self._target(name, wanted, definition, wants, spot)
        if target in self._nodes:
            self._check_filters(name, target, wants, spot)
            self._check_fulfils(name, target, definition, body, spot)
        kind, properties, interfaces = self._relationship(definition, body, mark)
        return Relation(name, target if target in self._nodes else "", kind, properties, interfaces, mark)

    def _definition(self, name: str, mark: Mark) -> Map:
        if name in self._definitions:
            body = self._definitions[name]
            if isinstance(body, str):
                return _short_definition(body)
            return as_map(body)
        message = f"'{self._node.name}' has no requirement '{name}'"
        known = [str(key) for key in self._definitions]
        hint = did_you_mean(name, known) or f"a {self._node.type} has {', '.join(known)}"
        self._findings.error(mark, "unknown-requirement", message, hint)
        return Map()

    def _target(self, name: str, wanted: object, definition: Map, wants: list[Filter], mark: Mark) -> str:
        if isinstance(wanted, str) and wanted in self._declared:
            return wanted
        if isinstance(wanted, str) and self._types.find("node", wanted) is None:
            message = f"the requirement '{name}' of '{self._node.name}' names '{wanted}', which is no node template"
            self._findings.error(mark, "unknown-node", message, did_you_mean(wanted, self._declared))
            return ""
        kind = wanted if isinstance(wanted, str) else definition.get("node")
        fitting = self._fitting(kind, definition)
        passing = [one for one in fitting if all(each.lets_pass(self._nodes[one]) for each in wants)]
        if fitting and not passing:
            message = f"no node passes the node_filter of the requirement '{name}' of '{self._node.name}'"
            self._findings.error(mark, "missing-requirement", message, f"looked at: {', '.join(fitting[:8])}")
            return ""
        fitting = passing
        if not fitting:
            message = f"nothing fulfils the requirement '{name}' of '{self._node.name}'"
            self._findings.error(
                mark, "missing-requirement", message, f"add a node of type {kind}" if kind else "name a node"
            )
            return ""
        if len(fitting) > 1:
            some = ", ".join(fitting[:8]) + (", …" if len(fitting) > 8 else "")
            message = f"several nodes fulfil the requirement '{name}' of '{self._node.name}': {some}"
            self._findings.warning(
                mark, "requirement", message, f"'{fitting[0]}' is taken; name the node that you mean"
            )
        return fitting[0]

    def _check_filters(self, name: str, target: str, wants: list[Filter], mark: Mark) -> None:
        if not all(each.lets_pass(self._nodes[target]) for each in wants):
            message = f"'{target}' does not pass the node_filter of the requirement '{name}' of '{self._node.name}'"
            self._findings.error(mark, "requirement", message)

    def _fitting(self, kind: object, definition: Map) -> list[str]:
        """Return the nodes of a kind, or with a capability; looked up once for all nodes that ask the same."""
        capability = None if isinstance(kind, str) else definition.get("capability")
        key = ("fitting", str(kind), str(capability))
        names = self._types.remember(key, lambda: self._all_fitting(kind, capability))
        return [name for name in names if name != self._node.name]

    def _all_fitting(self, kind: object, capability: object) -> list[str]:
        nodes = self._nodes.values()
        if isinstance(kind, str):
            return [node.name for node in nodes if self._types.derives("node", node.type, kind)]
        return [node.name for node in nodes if capability and self._offers(node, capability)]

    def _offers(self, node: NodeTemplate, capability: object) -> bool:
        return any(
            offered.name == capability or self._types.derives("capability", offered.type, capability)
            for offered in node.capabilities.values()
        )

    def _check_fulfils(self, name: str, target: str, definition: Map, body: Map, mark: Mark) -> None:
        node = self._nodes[target]
        asked = body.get("capability")
        if isinstance(asked, str) and not self._offers(node, asked):
            known = ", ".join(node.capabilities)
            message = f"'{target}' has no capability '{asked}', which '{self._node.name}' requires"
            self._findings.error(
                body.value_mark("capability"),
                "unknown-capability",
                message,
                did_you_mean(asked, node.capabilities) or f"it has {known}",
            )
            return
        wanted, kind = definition.get("capability"), definition.get("node")
        if wanted is None or self._types.find("capability", wanted) is None or self._offers(node, wanted):
            return
        if kind is not None and self._types.derives("node", node.type, kind):
            return
        message = f"'{target}' (a {node.type}) does not fulfil the requirement '{name}' of '{self._node.name}'"
        self._findings.error(mark, "requirement", message, f"it takes a {kind or wanted}")

    def _relationship(self, definition: Map, body: Map, mark: Mark) -> tuple[str, Map, Map]:
        assigned, inherited = body.get("relationship"), definition.get("relationship")
        own = as_map(assigned)
        wanted = own.get("type") if isinstance(assigned, Map) else assigned
        if isinstance(wanted, str) and wanted in self._templates:
            own = as_map(self._templates[wanted])
            wanted = own.get("type")
        kind = wanted or (inherited.get("type") if isinstance(inherited, Map) else inherited) or _ROOT
        place = (
            own.value_mark("type")
            if "type" in own
            else body.value_mark("relationship")
            if "relationship" in body
            else mark
        )
        if self._types.find("relationship", kind) is None:
            message = f"there is no relationship type '{kind}'"
            self._findings.error(place, "unknown-type", message, self._types.suggestion("relationship", kind))
            return _ROOT, Map(), Map()
        definitions = properties_of(self._types.merged("relationship", kind, "properties"), self._types)
        properties = with_defaults(as_map(own.get("properties")), definitions, own.mark if own else mark)
        interfaces = join_interfaces(self._types.chain("relationship", kind), own.get("interfaces"))
        return self._types.name("relationship", kind), properties, interfaces


def _short_definition(capability: str) -> Map:
    definition = Map()
    definition.put("capability", capability)
    return definition


def _check_required(node: NodeTemplate, types: Types, findings: Findings) -> None:
    """A node that must be hosted and is not hosted by anything is an error; other open requirements are only doubtful.

    Types in use leave required requirements open on purpose (they host the node through another one), so that
    a strict count of occurrences would reject templates that deploy well.
    """
    assigned = {link.name for link in node.relations}
    hosted = any(types.derives("relationship", link.type, HOSTED_ON) for link in node.relations)
    for name, definition in types.merged("node", node.type, "requirements").items():
        body = as_map(definition)
        if name in assigned or not isinstance(definition, Map) or _lowest(body.get("occurrences")) == 0:
            continue
        inherited = body.get("relationship")
        kind = inherited.get("type") if isinstance(inherited, Map) else inherited
        message = f"'{node.name}' needs the requirement '{name}'"
        hint = f"add '- {name}: NODE' to its requirements"
        if not types.derives("relationship", kind, HOSTED_ON):
            findings.warning(node.mark, "missing-requirement", message, hint)
        elif not hosted:
            findings.error(node.mark, "missing-requirement", message, hint)


def _lowest(occurrences: object) -> int:
    first = occurrences[0] if isinstance(occurrences, list) and occurrences else 1
    return first if isinstance(first, int) else 1


def machine_of(name: str, nodes: Nodes, types: Types) -> str:
    """Return the compute node that ``name`` is (hosted on), "" for none."""
    seen: set[str] = set()
    while name in nodes and name not in seen:
        if types.derives("node", nodes[name].type, "tosca.nodes.Compute"):
            return name
        seen.add(name)
        name = nodes[name].host(types)
    return ""
