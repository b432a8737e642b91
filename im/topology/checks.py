"""Finds what is wrong with the version, the form and the values of a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from im.topology import keynames
from im.topology.definitions import Names
from im.topology.document import Document, Map, as_map, as_seq
from im.topology.findings import Findings, did_you_mean
from im.topology.functions import Scope
from im.topology.model import Mark
from im.topology.nodes import with_defaults
from im.topology.policies import ELSEWHERE, policies_in
from im.topology.schema import Property, Schema, properties_of
from im.topology.syntax import is_function
from im.topology.values import check_value, version_like
from im.topology.world import COMPUTE, World, lower_bound

if TYPE_CHECKING:
    from im.topology.nodes import NodeTemplate
    from im.topology.types import Kind

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
_IMAGE: Final = {
    "image": Property("image", Schema("string"), required=False, default=None, mark=Mark(""), default_mark=Mark(""))
}
"""What IM knows of TOSCA's own operating system, too."""
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
    elif not isinstance(version, str) or version not in VERSIONS:
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


def check_node(world: World, node: NodeTemplate) -> None:
    """Report what the type of a node template does not take.

    Looked at are its properties, those of its capabilities and relationships, and its artifacts.
    """
    own = f"of '{node.name}'"
    _Values(world, node.definitions, Scope(node.name), own).check(node.properties, node.mark)
    capabilities = as_map(node.body.get("capabilities"))
    for capability in node.capabilities.values():
        what = f"{own}, capability '{capability.name}'"
        mark = capabilities.key_mark(capability.name) if capability.name in capabilities else node.mark
        is_machine = world.is_a(node, COMPUTE)
        known = capability.definitions
        if world.for_im and is_machine and capability.name == "os":
            known = _IMAGE | known
        _Values(world, known, Scope(node.name), what, is_machine).check(capability.values, mark)
    for link in node.relations:
        known = properties_of(world.types.merged("relationship", link.type, "properties"), world.types)
        scope = Scope(node.name, node.name, link.target, link.properties)
        _Values(world, known, scope, f"of the requirement '{link.name}' {own}").check(link.properties, link.mark)
    for body in as_map(node.body.get("artifacts")).values():
        if isinstance(body, Map):
            Names(world.types, world.findings).check("artifact", body, "type")


@dataclass(frozen=True, slots=True)
class _Values:
    """Checks values against the properties that their type defines. ``conditions``: numbers may be conditions."""

    world: World
    known: dict[str, Property]
    scope: Scope
    what: str
    conditions: bool = False

    def check(self, values: Map, mark: Mark) -> None:
        """Report unknown, wrong and missing values; ``mark`` is where a missing one would stand."""
        for key, raw in values.items():
            if key in self.known:
                self.check_one(str(key), raw, values.value_mark(key))
            else:
                self._unknown(str(key), values.key_mark(key))
        for key, definition in self.known.items():
            if definition.required and values.get(key) is None:
                message = f"the property '{key}' {self.what} is missing"
                self.world.findings.error(mark, "missing-property", message, "its type requires it")

    def _unknown(self, key: str, mark: Mark) -> None:
        known = f"known: {', '.join(self.known)}" if self.known else "its type has no properties"
        message = f"there is no property '{key}' {self.what}"
        self.world.findings.error(mark, "unknown-property", message, did_you_mean(key, self.known) or known)

    def check_one(self, key: str, raw: object, mark: Mark) -> None:
        """Report what is wrong with the value of a known property."""
        definition = self.known[key]
        value = self.world.resolver.resolve(raw, self.scope, mark)
        if self.conditions:
            value = lower_bound(value)
        if value is None and definition.required and is_function(raw) and not self._awaits_input(raw):
            self.world.findings.error(mark, "missing-property", f"the property '{key}' {self.what} has no value")
        findings = self.world.findings
        check_value(value, definition.schema, self.world.types, mark, findings, what=f"'{key}' {self.what}")

    def _awaits_input(self, raw: object) -> bool:
        """Tell whether a value is missing only because an input is, which is a finding of its own."""
        missing = any(found.code in {"missing-input", "unknown-input"} for found in self.world.findings.errors)
        return missing and isinstance(raw, dict) and "get_input" in raw


def check_rest(world: World, topology: Map) -> None:
    """Report unknown types and wrong properties of groups and policies, members and targets that do not exist."""
    declared = {*world.nodes, *map(str, as_map(topology.get("node_templates")))}
    groups = as_map(topology.get("groups"))
    for name, body in groups.items():
        _check_entity(world, "group", str(name), as_map(body), groups)
        _check_members(world, as_map(body).get("members"), declared)
    for body in as_map(topology.get("relationship_templates")).values():
        Names(world.types, world.findings).check("relationship", as_map(body), "type")
    for name, body, _ in policies_in(topology):
        Names(world.types, world.findings).check("policy", body, "type")
        _check_policy(world, name, body)
        _check_members(world, body.get("targets"), {*declared, *map(str, groups)})


def _check_entity(world: World, kind: Kind, name: str, body: Map, holder: Map) -> None:
    Names(world.types, world.findings).check(kind, body, "type")
    if world.types.find(kind, body.get("type")) is None:
        return
    mark = holder.key_mark(name)
    known = properties_of(world.types.merged(kind, body["type"], "properties"), world.types)
    values = with_defaults(as_map(body.get("properties")), known, mark)
    _Values(world, known, Scope(), f"of the {kind} '{name}'").check(values, mark)


def _check_policy(world: World, name: str, body: Map) -> None:
    """Check the values that its type defines.

    What it lacks, or has beside them, is a matter of :mod:`im.topology.policies`: templates for IM take liberties.
    """
    known = properties_of(world.types.merged("policy", body.get("type"), "properties"), world.types)
    given = as_map(body.get("properties"))
    values = _Values(world, known, Scope(), f"of the policy '{name}'")
    for key, raw in given.items():
        if key in known and key not in ELSEWHERE:
            values.check_one(str(key), raw, given.value_mark(key))


def _check_members(world: World, members: object, known: set[str]) -> None:
    for index, name in enumerate(as_seq(members)):
        if str(name) not in known:
            mark = as_seq(members).value_mark(index)
            world.findings.error(
                mark, "unknown-node", f"there is no node template '{name}'", did_you_mean(str(name), known)
            )
