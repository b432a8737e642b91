"""What can be wrong with a template before anything is deployed: versions, definitions of types, values of templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from im.topology import keynames
from im.topology.document import Document, Map, as_map, as_seq
from im.topology.findings import Findings, did_you_mean
from im.topology.functions import Scope
from im.topology.machines import COMPUTE, World, lower_bound
from im.topology.model import Mark
from im.topology.nodes import with_defaults
from im.topology.schema import Property, check_constraints, check_definition, properties_of
from im.topology.syntax import is_function
from im.topology.types import PRIMITIVES, Kind, TypeDefinition, Types
from im.topology.values import check_value, version_like

if TYPE_CHECKING:
    from im.topology.nodes import NodeTemplate

VERSIONS: Final = {
    "tosca_simple_yaml_1_0": "1.0",
    "tosca_simple_yaml_1_0_0": "1.0",
    "tosca_simple_yaml_1_1": "1.1",
    "tosca_simple_yaml_1_2": "1.2",
    "tosca_simple_yaml_1_3": "1.3",
    "http://docs.oasis-open.org/tosca/ns/simple/yaml/1.0": "1.0",
    "http://docs.oasis-open.org/tosca/ns/simple/yaml/1.1": "1.1",
    "http://docs.oasis-open.org/tosca/ns/simple/yaml/1.2": "1.2",
    "http://docs.oasis-open.org/tosca/ns/simple/yaml/1.3": "1.3",
}
_KEY: Final = "tosca_definitions_version"
_USUAL: Final = "tosca_simple_yaml_1_3"


def check_version(document: Document, findings: Findings) -> None:
    """Report a missing, misplaced or unknown ``tosca_definitions_version``."""
    root = document.root
    if not root and any(finding.mark.file == document.file for finding in findings.errors):
        return
    if _KEY not in root:
        findings.error(root.mark, "version", f"'{_KEY}' is missing", f"begin with '{_KEY}: {_USUAL}'")
        return
    version, mark = root[_KEY], root.value_mark(_KEY)
    if isinstance(version, str) and version.startswith("tosca_2"):
        findings.error(mark, "version", "TOSCA 2.0 is not supported yet", f"write it for {_USUAL}")
    elif version not in VERSIONS:
        findings.error(
            mark,
            "version",
            f"there is no TOSCA version {keynames.describe(version)}",
            did_you_mean(str(version), VERSIONS),
        )
    elif document.origin == "template" and next(iter(root)) != _KEY:
        findings.error(root.key_mark(_KEY), "version", f"'{_KEY}' must be the first line of the template")


def check_form(document: Document, findings: Findings) -> None:
    """Report keys that TOSCA does not know and values of another form than it wants, in all of the template."""
    keynames.check(document.root, "template", document.root.mark, findings)
    version = as_map(document.root.get("metadata")).get("template_version")
    if version is not None and not isinstance(version, (dict, list)) and not version_like(version):
        mark = as_map(document.root["metadata"]).value_mark("template_version")
        findings.error(
            mark,
            "value-type",
            f"'template_version' must be a version, not {keynames.describe(version)}",
            "such as 1.0.0",
        )


def check_types(types: Types, findings: Findings) -> None:
    """Report what is wrong with the types that the template itself defines."""
    for found in types.defined_in("template"):
        _check_parent(found, types, findings)
        for section in ("properties", "attributes", "inputs"):
            _check_properties(as_map(found.body.get(section)), types, findings)
        _check_names(found, types, findings)
        if found.kind == "data":
            _check_data_type(found, findings)


def _check_parent(found: TypeDefinition, types: Types, findings: Findings) -> None:
    parent = found.body.get("derived_from")
    mark = found.body.value_mark("derived_from")
    if not isinstance(parent, str) or (found.kind == "data" and parent in PRIMITIVES):
        return
    if types.find(found.kind, parent) is None:
        message = f"the {found.kind} type '{found.name}' derives from '{parent}', which does not exist"
        findings.error(mark, "unknown-type", message, types.suggestion(found.kind, parent))
    elif any(
        other.body.get("derived_from") and types.name(found.kind, other.body["derived_from"]) == found.name
        for other in types.chain(found.kind, found.name)
    ):
        findings.error(mark, "cycle", f"the {found.kind} type '{found.name}' derives from itself")


def _check_properties(section: Map, types: Types, findings: Findings) -> None:
    for name, body in section.items():
        if isinstance(body, Map):
            check_definition(body, types, section.key_mark(name), findings)
    for name, definition in properties_of(section, types).items():
        if definition.default is not None:
            what = f"the default of '{name}'"
            check_value(definition.default, definition.schema, types, definition.default_mark, findings, what)


def _check_data_type(found: TypeDefinition, findings: Findings) -> None:
    check_constraints(found.body.get("constraints"), findings)
    if found.body.get("derived_from") in PRIMITIVES and found.body.get("properties"):
        message = f"'{found.name}' derives from '{found.body['derived_from']}' and can have no properties"
        findings.error(found.body.key_mark("properties"), "form", message)


def _check_names(found: TypeDefinition, types: Types, findings: Findings) -> None:
    """Report types that a type's definition names and that do not exist."""
    body = found.body
    for key, kinds in (
        ("valid_source_types", ("node", "relationship")),
        ("valid_target_types", ("capability", "node")),
    ):
        _check_list(as_seq(body.get(key)), kinds, types, findings)
    capabilities = as_map(body.get("capabilities"))
    for name, content in capabilities.items():
        holder = content if isinstance(content, Map) else capabilities
        _check_name(
            "capability",
            content.get("type") if isinstance(content, Map) else content,
            holder,
            "type" if isinstance(content, Map) else name,
            types,
            findings,
        )
        _check_properties(as_map(as_map(content).get("properties")), types, findings)
    if found.kind == "node":
        for item in as_seq(body.get("requirements")):
            for content in as_map(item).values():
                _check_requirement(as_map(content), types, findings)


def _check_requirement(content: Map, types: Types, findings: Findings) -> None:
    _check_name("capability", content.get("capability"), content, "capability", types, findings)
    _check_name("node", content.get("node"), content, "node", types, findings)
    relationship = content.get("relationship")
    if isinstance(relationship, Map):
        _check_name("relationship", relationship.get("type"), relationship, "type", types, findings)
    else:
        _check_name("relationship", relationship, content, "relationship", types, findings)


def _check_list(names: list[object], kinds: tuple[Kind, ...], types: Types, findings: Findings) -> None:
    for index, name in enumerate(names):
        if all(types.find(kind, name) is None for kind in kinds):
            mark = names.value_mark(index) if hasattr(names, "value_mark") else Mark("")
            findings.error(
                mark, "unknown-type", f"there is no {kinds[0]} type '{name}'", types.suggestion(kinds[0], name)
            )


def _check_name(kind: Kind, name: object, holder: Map, key: object, types: Types, findings: Findings) -> None:
    if isinstance(name, str) and types.find(kind, name) is None:
        findings.error(
            holder.value_mark(key), "unknown-type", f"there is no {kind} type '{name}'", types.suggestion(kind, name)
        )


def check_node(world: World, node: NodeTemplate) -> None:
    """Report properties, capability properties, relationship properties and artifacts of a node template that its type does not take."""
    scope = Scope(node.name)
    what = f"of '{node.name}'"
    _check_values(world, node.definitions, node.properties, scope, what, node.mark, conditions=False)
    for capability in node.capabilities.values():
        conditions = world.is_a(node, COMPUTE)
        where = f"of '{node.name}', capability '{capability.name}'"
        holder = as_map(node.body.get("capabilities"))
        mark = holder.key_mark(capability.name) if capability.name in holder else node.mark
        _check_values(world, capability.definitions, capability.values, scope, where, mark, conditions=conditions)
    for link in node.relations:
        known = properties_of(world.types.merged("relationship", link.type, "properties"), world.types)
        place = Scope(node.name, node.name, link.target, link.properties)
        _check_values(
            world,
            known,
            link.properties,
            place,
            f"of the requirement '{link.name}' {what}",
            link.mark,
            conditions=False,
        )
    _check_artifacts(world, node)


def _check_values(
    world: World, known: dict[str, Property], values: Map, scope: Scope, what: str, mark: Mark, *, conditions: bool
) -> None:
    for key, raw in values.items():
        place = values.value_mark(key)
        value = world.resolver.resolve(raw, scope, place)
        if key not in known:
            hint = did_you_mean(str(key), known) or (
                f"known: {', '.join(known)}" if known else "its type has no properties"
            )
            world.findings.error(values.key_mark(key), "unknown-property", f"there is no property '{key}' {what}", hint)
            continue
        if conditions:
            value = lower_bound(value)
        if value is None and known[key].required and is_function(raw) and not _awaits_input(raw, world):
            world.findings.error(place, "missing-property", f"the property '{key}' {what} has no value")
        check_value(value, known[key].schema, world.types, place, world.findings, f"'{key}' {what}")
    for key, definition in known.items():
        if definition.required and values.get(key) is None:
            world.findings.error(
                mark, "missing-property", f"the property '{key}' {what} is missing", "its type requires it"
            )


def _awaits_input(raw: object, world: World) -> bool:
    """Tell whether a value is missing only because an input is, which is a finding of its own."""
    missing = any(finding.code in {"missing-input", "unknown-input"} for finding in world.findings.errors)
    return missing and isinstance(raw, dict) and "get_input" in raw


def _check_artifacts(world: World, node: NodeTemplate) -> None:
    artifacts = as_map(node.body.get("artifacts"))
    for body in artifacts.values():
        if isinstance(body, Map):
            _check_name("artifact", body.get("type"), body, "type", world.types, world.findings)


def check_rest(world: World, topology: Map) -> None:
    """Report unknown types and wrong properties of groups and policies, members and targets that do not exist."""
    declared = {*world.nodes, *map(str, as_map(topology.get("node_templates")))}
    groups = as_map(topology.get("groups"))
    for name, body in groups.items():
        _check_entity(world, "group", str(name), as_map(body), groups)
        _check_members(world, as_map(body).get("members"), declared)
    templates = as_map(topology.get("relationship_templates"))
    for body in templates.values():
        _check_name("relationship", as_map(body).get("type"), as_map(body), "type", world.types, world.findings)
    policies = topology.get("policies")
    for item in policies if isinstance(policies, list) else [policies]:
        for name, body in as_map(item).items():
            _check_entity(world, "policy", str(name), as_map(body), as_map(item))
            _check_members(world, as_map(body).get("targets"), {*declared, *map(str, groups)})


def _check_entity(world: World, kind: Kind, name: str, body: Map, holder: Map) -> None:
    _check_name(kind, body.get("type"), body, "type", world.types, world.findings)
    if world.types.find(kind, body.get("type")) is None:
        return
    mark = holder.key_mark(name)
    known = properties_of(world.types.merged(kind, body["type"], "properties"), world.types)
    values = with_defaults(as_map(body.get("properties")), known, mark)
    if kind == "policy":
        world.findings.warning(mark, "ignored", f"the policy '{name}' is not followed")
    else:
        _check_values(world, known, values, Scope(), f"of the {kind} '{name}'", mark, conditions=False)


def _check_members(world: World, members: object, known: set[str]) -> None:
    for index, name in enumerate(as_seq(members)):
        if str(name) not in known:
            mark = as_seq(members).value_mark(index)
            world.findings.error(
                mark, "unknown-node", f"there is no node template '{name}'", did_you_mean(str(name), known)
            )
