"""Substitution mappings: a node that another template describes in detail becomes that template's nodes.

Within one deployment: the nodes of the imported topology take the place of the node, called after it
(``cluster_server``). Its properties become the inputs of that topology, its requirements and whoever requires it go to
the nodes that the mappings name, and its attributes are mapped ones or outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from im.topology.document import Document, Map, Seq, as_map, as_seq
from im.topology.findings import Findings, did_you_mean
from im.topology.rewriting import changed, copied, rewritten
from im.topology.schema import properties_of
from im.topology.syntax import call, descend, is_function

if TYPE_CHECKING:
    from im.topology.types import Types

SECTION: Final = "substitution_mappings"
_DIRECTIVES: Final = frozenset(("substitute", "substitutable"))
_OF_NODE: Final = frozenset(("get_property", "get_attribute", "get_artifact"))
MAX_DEPTH: Final = 8
MAX_NODES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Substitute:
    """A topology that can take the place of a node of ``kind``."""

    kind: str
    topology: Map

    def mapped(self, section: str, name: str) -> tuple[str, str]:
        """Return the node and the name in it that ``name`` of a section of the mappings stands for."""
        wanted = as_map(as_map(self.topology.get(SECTION)).get(section)).get(name)
        if isinstance(wanted, Map):
            wanted = wanted.get("mapping")
        items = [str(item) for item in wanted] if isinstance(wanted, list) else [str(wanted)] if wanted else []
        return (items[0] if items else "", items[1] if len(items) > 1 else "")


def substituted(documents: Sequence[Document], types: Types, findings: Findings) -> Sequence[Document]:
    """Return the documents with the nodes of the template substituted, as far as what they import can."""
    substitutes = list(_substitutes(documents))
    template = documents[0]
    topology = as_map(template.root.get("topology_template"))
    if not as_map(topology.get("node_templates")):
        return documents
    for _ in range(MAX_DEPTH):
        chosen = _chosen(topology, substitutes, types, findings)
        if not chosen:
            return documents if topology is template.root.get("topology_template") else _with(documents, topology)
        for name, substitute in chosen.items():
            topology = _Exchange(topology, name, substitute, types, findings).made()
        if len(as_map(topology.get("node_templates"))) > MAX_NODES:
            break
    findings.error(template.root.mark, "cycle", "the substitution of nodes has no end")
    findings.stop()
    return documents


def is_substitute(document: Document) -> bool:
    """Tell whether a document offers its topology for nodes of a type."""
    topology = as_map(document.root.get("topology_template"))
    return isinstance(as_map(topology.get(SECTION)).get("node_type"), str)


def _substitutes(documents: Sequence[Document]) -> Iterator[Substitute]:
    for document in documents[1:]:
        if is_substitute(document):
            topology = as_map(document.root["topology_template"])
            yield Substitute(topology[SECTION]["node_type"], topology)


def _with(documents: Sequence[Document], topology: Map) -> Sequence[Document]:
    old = documents[0].root
    root = changed(old, "topology_template", topology)
    return [replace(documents[0], root=root), *documents[1:]]


def _chosen(topology: Map, known: list[Substitute], types: Types, findings: Findings) -> dict[str, Substitute]:
    """Return the nodes to be substituted: those that say so, and those of exactly a type that has a substitute."""
    chosen: dict[str, Substitute] = {}
    nodes = as_map(topology.get("node_templates"))
    for name, body in nodes.items():
        kind = types.name("node", as_map(body).get("type"))
        wants = bool(_DIRECTIVES & set(map(str, as_seq(as_map(body).get("directives")))))
        fits = [one for one in known if types.name("node", one.kind) == kind]
        if not fits and wants:
            fits = [one for one in known if types.derives("node", one.kind, kind)]
        if fits and isinstance(name, str):
            chosen[name] = fits[0]
        elif wants and types.find("node", kind) is not None:
            kinds = ", ".join(one.kind for one in known) or "none"
            message = f"no imported template substitutes '{name}' (a {kind})"
            findings.error(nodes.key_mark(name), "unknown-node", message, f"there are substitutes for: {kinds}")
    return chosen


class _Exchange:
    """Puts the nodes of a substitute in the place of one node."""

    def __init__(self, topology: Map, name: str, substitute: Substitute, types: Types, findings: Findings) -> None:
        self._topology = topology
        self._name = name
        self._substitute = substitute
        self._types = types
        self._findings = findings
        self._nodes = as_map(topology.get("node_templates"))
        self._node = as_map(self._nodes[name])
        self._mark = self._nodes.key_mark(name)
        self._inner = as_map(substitute.topology.get("node_templates"))
        self._names = {inner: f"{name}_{inner}" for inner in self._inner if isinstance(inner, str)}

    def made(self) -> Map:
        """Return the topology with the node exchanged."""
        nodes = Map(self._nodes.file, self._nodes.place)
        for name, body in self._nodes.items():
            if name == self._name:
                for inner, content in self._inner.items():
                    body_within = self._inner_node(str(inner), content)
                    nodes.put(self._names.get(inner, inner), body_within, self._inner.spot(inner))
            else:
                nodes.put(name, self._outer(body), self._nodes.spot(name))
        self._check_left_out()
        result = changed(self._topology, "node_templates", nodes)
        for section in ("outputs", "groups", "policies"):
            if section in result:
                result = changed(result, section, self._outer(result[section], members=section != "outputs"))
        return result

    def _check_left_out(self) -> None:
        for key in ("interfaces", "capabilities", "artifacts", "attributes"):
            if self._node.get(key):
                message = f"'{key}' of '{self._name}' are left out: it is substituted"
                self._findings.warning(self._node.key_mark(key), "ignored", message, "say it in its substitute")

    def _inner_node(self, name: str, content: object) -> object:
        """Return a node of the substitute in the words of the template, with the requirements that come to it."""
        body = rewritten(content, self._inner_call)
        if not isinstance(body, Map):
            return body
        wanted = Seq(body.file, body.place)
        for item in as_seq(body.get("requirements")):
            wanted.append(_renamed_target(item, self._names))
            wanted.places.append(wanted.place)
        for requirement, assignment, holder in _pairs(self._node.get("requirements")):
            target, inner = self._substitute.mapped("requirements", requirement)
            if not target and name == next(iter(self._names), ""):
                message = f"the requirement '{requirement}' of '{self._name}' is mapped to no node of its substitute"
                self._findings.error(holder.key_mark(requirement), "requirement", message)
            if target == name:
                item = Map(holder.file, holder.place)
                item.put(inner or requirement, assignment, holder.spot(requirement))
                wanted.append(item)
                wanted.places.append(holder.place)
        return changed(body, "requirements", wanted) if wanted else body

    def _inner_call(self, name: str, arguments: list[Any]) -> tuple[bool, object]:
        if name == "get_input" and arguments:
            return True, descend(self._input(str(arguments[0])), arguments[1:])
        if name in _OF_NODE and arguments and str(arguments[0]) in self._names:
            return True, {name: [self._names[str(arguments[0])], *arguments[1:]]}
        return False, None

    def _input(self, name: str) -> object:
        """Return the value of an input of the substitute: a property of the node, else its own default."""
        mappings = as_map(as_map(self._substitute.topology.get(SECTION)).get("properties"))
        mapped = [key for key in mappings if self._substitute.mapped("properties", str(key))[0] == name]
        for key in (*mapped, name):
            value = self._property(str(key))
            if value is not None:
                return value
        section = as_map(self._substitute.topology.get("inputs"))
        if name not in section:
            hint = did_you_mean(name, map(str, section))
            self._findings.error(section.mark, "unknown-input", f"the substitute declares no input '{name}'", hint)
            return None
        default: object = as_map(section[name]).get("default")
        if default is None and as_map(section[name]).get("required") is not False:
            message = f"'{self._name}' has no value for the input '{name}' of its substitute"
            self._findings.error(self._mark, "missing-input", message, f"set its property '{name}'")
        return default

    def _property(self, name: str) -> object:
        given: object = as_map(self._node.get("properties")).get(name)
        if given is not None:
            return given
        known = properties_of(self._types.merged("node", self._node.get("type"), "properties"), self._types)
        return known[name].default if name in known else None

    def _outer(self, body: object, *, members: bool = False) -> object:
        """Return what stands elsewhere in the template, with the node's parts where it names the node."""
        result = rewritten(body, self._outer_call)
        if members:
            return _spread(result, self._name, list(self._names.values()))
        if isinstance(result, Map) and isinstance(result.get("requirements"), Seq):
            wanted = Seq(result["requirements"].file, result["requirements"].place)
            for item in result["requirements"]:
                wanted.append(self._redirected(item))
                wanted.places.append(wanted.place)
            return changed(result, "requirements", wanted)
        return result

    def _redirected(self, item: object) -> object:
        """Return a requirement of another node with the part of the substitute that fulfils it as its target."""
        for requirement, assignment, holder in _pairs([item]):
            body = as_map(assignment)
            if self._name in (assignment, body.get("node")):
                target, capability = self._fulfils(requirement, body)
                if not target:
                    message = f"nothing in the substitute of '{self._name}' fulfils the requirement '{requirement}'"
                    hint = f"map a capability under {SECTION}"
                    self._findings.error(holder.key_mark(requirement), "requirement", message, hint)
                    return item
                if not isinstance(assignment, Map):
                    return changed(holder, requirement, target)
                other = changed(body, "node", target)
                if "capability" in body and capability:
                    other = changed(other, "capability", capability)
                return changed(holder, requirement, other)
        return item

    def _fulfils(self, requirement: str, body: Map) -> tuple[str, str]:
        mappings = as_map(as_map(self._substitute.topology.get(SECTION)).get("capabilities"))
        for name in (str(body.get("capability")), requirement, *map(str, mappings)):
            target, capability = self._substitute.mapped("capabilities", name)
            if target in self._names:
                return self._names[target], capability
        return "", ""

    def _outer_call(self, name: str, arguments: list[Any]) -> tuple[bool, object]:
        if name not in _OF_NODE or len(arguments) < 2 or str(arguments[0]) != self._name:
            return False, None
        wanted = str(arguments[1])
        if name == "get_property":
            return True, descend(self._property(wanted), arguments[2:])
        target, inner = self._substitute.mapped("attributes", wanted)
        if target in self._names:
            return True, {name: [self._names[target], inner or wanted, *arguments[2:]]}
        outputs = as_map(self._substitute.topology.get("outputs"))
        if wanted in outputs:
            value = rewritten(as_map(outputs[wanted]).get("value"), self._inner_call)
            if len(arguments) == 2 or not is_function(value):
                return True, descend(value, arguments[2:])
            function, inner_arguments = call(as_map(value) or dict(value))
            return True, {function: [*inner_arguments, *arguments[2:]]}
        message = f"the substitute of '{self._name}' says nothing about its attribute '{wanted}'"
        hint = f"map it under {SECTION}, or make it an output"
        self._findings.error(self._mark, "function", message, hint)
        return True, None


def _pairs(section: object) -> Iterator[tuple[str, Any, Map]]:
    for item in section if isinstance(section, list) else ():
        if isinstance(item, Map):
            for name, body in item.items():
                yield str(name), body, item


def _renamed_target(item: object, names: dict[str, str]) -> object:
    """Return a requirement inside the substitute with the new name of its target."""
    for requirement, assignment, holder in _pairs([item]):
        if str(assignment) in names and not isinstance(assignment, Map):
            return changed(holder, requirement, names[str(assignment)])
        if isinstance(assignment, Map) and str(assignment.get("node")) in names:
            return changed(holder, requirement, changed(assignment, "node", names[str(assignment["node"])]))
    return item


def _spread(value: object, name: str, parts: list[str]) -> Any:  # noqa: ANN401 - whatever a template holds
    """Return groups or policies with all parts in the place of the node among their members or targets."""
    if isinstance(value, Map):
        result = Map(value.file, value.place)
        for key, item in value.items():
            inner = _members(item, name, parts) if key in {"members", "targets"} else _spread(item, name, parts)
            result.put(key, inner, value.spot(key))
        return result
    if isinstance(value, Seq):
        return copied(value, [_spread(item, name, parts) for item in value])
    return value


def _members(value: object, name: str, parts: list[str]) -> object:
    if not isinstance(value, Seq):
        return value
    result = Seq(value.file, value.place)
    for index, item in enumerate(value):
        for one in parts if item == name else [item]:
            result.append(one)
            mark = value.value_mark(index)
            result.places.append((mark.line, mark.column))
    return result
