"""Which keynames TOSCA allows where, as a table, and the check of a document against it.

A shape is a word of the small language below: ``text``, ``any``, ``flag``, ``{x}`` (a mapping whose values
are x), ``[x]``, ``[{x}]`` (a list of one-entry mappings), ``x|y`` or the name of another shape of the table.
``*`` stands for every other key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from im.topology.document import Map, Seq
from im.topology.findings import did_you_mean

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.model import Mark

_ENTITY: Final = {"derived_from": "text", "version": "scalar", "metadata": "map", "description": "text"}
_OPERATIONS: Final = {"operations": "{operation}", "notifications": "map", "*": "operation"}

SHAPES: Final[dict[str, dict[str, str]]] = {
    "template": {
        "tosca_definitions_version": "text",
        "tosca_default_namespace": "text",
        "namespace": "text",
        "template_name": "text",
        "template_author": "text",
        "template_version": "scalar",
        "metadata": "metadata",
        "description": "text",
        "dsl_definitions": "any",
        "repositories": "{repository}",
        "imports": "any",
        "topology_template": "topology",
        "node_types": "{node_type}",
        "relationship_types": "{relationship_type}",
        "capability_types": "{capability_type}",
        "interface_types": "{interface_type}",
        "data_types": "{data_type}",
        "artifact_types": "{artifact_type}",
        "group_types": "{group_type}",
        "policy_types": "{policy_type}",
    },
    "metadata": {"template_name": "scalar", "template_author": "scalar", "template_version": "scalar", "*": "any"},
    "repository": {"description": "text", "url": "text", "credential": "map"},
    "topology": {
        "description": "text",
        "inputs": "{parameter}",
        "outputs": "{output}",
        "node_templates": "{node}",
        "relationship_templates": "{relationship}",
        "groups": "{group}",
        "policies": "[{policy}]|{policy}",
        "substitution_mappings": "map",
        "workflows": "map",
    },
    "property": {
        "type": "text",
        "description": "text",
        "required": "flag",
        "default": "any",
        "status": "text",
        "constraints": "list",
        "entry_schema": "schema",
        "key_schema": "schema",
        "external_schema": "text",
        "external-schema": "text",
        "metadata": "map",
    },
    "schema": {
        "type": "text",
        "description": "text",
        "constraints": "list",
        "entry_schema": "schema",
        "key_schema": "schema",
        "required": "flag",
        "default": "any",
    },
    "node": {
        "type": "text",
        "description": "text",
        "metadata": "map",
        "directives": "list",
        "properties": "map",
        "attributes": "map",
        "requirements": "[{requirement}]",
        "capabilities": "{capability}",
        "interfaces": "{interface}",
        "artifacts": "{artifact}",
        "node_filter": "map",
        "copy": "text",
    },
    "relationship": {
        "type": "text",
        "description": "text",
        "metadata": "map",
        "properties": "map",
        "attributes": "map",
        "interfaces": "{interface}",
        "copy": "text",
    },
    "capability": {"properties": "map", "attributes": "map", "occurrences": "list", "directives": "list"},
    "interface": {"type": "text", "description": "text", "inputs": "map", **_OPERATIONS},
    "operation": {
        "description": "text",
        "implementation": "implementation",
        "inputs": "map",
        "outputs": "map",
    },
    "implementation": {
        "primary": "any",
        "dependencies": "list",
        "timeout": "any",
        "operation_host": "text",
        "file": "text",
        "type": "text",
        "repository": "text",
    },
    "artifact": {
        "type": "text",
        "file": "any",
        "repository": "text",
        "description": "text",
        "deploy_path": "text",
        "properties": "map",
        "artifact_version": "scalar",
        "checksum": "text",
        "checksum_algorithm": "text",
    },
    "requirement": {
        "node": "text",
        "capability": "text",
        "relationship": "requirement_relationship",
        "node_filter": "map",
        "occurrences": "list",
        "properties": "map",
        "interfaces": "{interface}",
        "description": "text",
    },
    "requirement_relationship": {"type": "text", "properties": "map", "interfaces": "{interface}"},
    "group": {
        "type": "text",
        "description": "text",
        "metadata": "map",
        "properties": "map",
        "attributes": "map",
        "members": "list",
        "interfaces": "{interface}",
    },
    "policy": {
        "type": "text",
        "description": "text",
        "metadata": "map",
        "properties": "map",
        "targets": "list",
        "triggers": "any",
    },
    "requirement_definition": {
        "description": "text",
        "capability": "text",
        "node": "text",
        "relationship": "requirement_relationship",
        "occurrences": "list",
        "node_filter": "map",
        "metadata": "map",
    },
    "capability_definition": {
        "type": "text",
        "description": "text",
        "properties": "{property}",
        "attributes": "{property}",
        "valid_source_types": "list",
        "occurrences": "list",
    },
    "node_type": _ENTITY
    | {
        "attributes": "{property}",
        "properties": "{property}",
        "requirements": "[{requirement_definition}]",
        "capabilities": "{capability_definition}",
        "interfaces": "{interface}",
        "artifacts": "{artifact}",
    },
    "relationship_type": _ENTITY
    | {"properties": "{property}", "attributes": "{property}", "interfaces": "{interface}"}
    | {"valid_target_types": "list"},
    "capability_type": _ENTITY
    | {"properties": "{property}", "attributes": "{property}", "valid_source_types": "list"},
    "interface_type": _ENTITY | {"inputs": "{property}", "operations": "{typed_operation}", "notifications": "map"}
    | {"*": "typed_operation"},
    "typed_operation": {"description": "text", "inputs": "{property}", "outputs": "map", "implementation": "forbidden"},
    "data_type": _ENTITY
    | {
        "constraints": "list",
        "properties": "{property}",
        "key_schema": "schema",
        "entry_schema": "schema",
        "type": "text",
    },
    "artifact_type": _ENTITY | {"mime_type": "text", "file_ext": "list", "properties": "{property}"},
    "group_type": _ENTITY
    | {"attributes": "{property}", "properties": "{property}", "members": "list", "interfaces": "{interface}",
       "requirements": "any", "capabilities": "any"},
    "policy_type": _ENTITY | {"properties": "{property}", "targets": "list", "triggers": "any"},
}  # fmt: skip
SHAPES["parameter"] = SHAPES["property"] | {"value": "any"}
SHAPES["output"] = SHAPES["parameter"]
_TEXT_INSTEAD: Final = frozenset(
    ("repository", "operation", "typed_operation", "implementation", "artifact", "requirement", "schema",
     "capability_definition", "requirement_definition", "requirement_relationship")
)  # fmt: skip
"""Shapes with a short form: one plain value."""
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "repository": ("url",),
    "node": ("type",),
    "property": ("type",),
    "output": ("value",),
    "group": ("type",),
    "policy": ("type",),
}
_WORDS: Final = {
    "map": "a mapping",
    "list": "a list",
    "text": "a text",
    "scalar": "a plain value",
    "flag": "true or false",
}


def check(value: object, shape: str, mark: Mark, findings: Findings, what: str = "the template") -> None:
    """Report every key in ``value`` that ``shape`` does not allow, and every value of another form than it wants."""
    if value is None or shape == "any":
        return
    if "|" in shape:
        choices = shape.split("|")
        shape = next((choice for choice in choices if _outer(choice) is type(value)), choices[0])
    if shape in SHAPES:
        _check_keys(value, shape, mark, findings, what)
    elif shape.startswith("{"):
        _check_values(value, shape[1:-1], mark, findings, what)
    elif shape.startswith("[{"):
        _check_pairs(value, shape[2:-2], mark, findings, what)
    else:
        _check_plain(value, shape, mark, findings, what)


def _outer(shape: str) -> type:
    return Seq if shape.startswith("[") else Map


def _check_keys(value: object, shape: str, mark: Mark, findings: Findings, what: str) -> None:
    if not isinstance(value, Map):
        if shape not in _TEXT_INSTEAD or isinstance(value, Seq):
            findings.error(mark, "form", f"{what} must be a mapping, not {describe(value)}")
        return
    allowed = SHAPES[shape]
    for key, content in value.items():
        inner = allowed.get(str(key), allowed.get("*", ""))
        if inner:
            check(content, inner, value.value_mark(key), findings, f"'{key}'")
        else:
            hint = did_you_mean(str(key), allowed) or f"known: {', '.join(sorted(allowed))}"
            findings.error(value.key_mark(key), "unknown-key", f"{what} has no key '{key}'", hint)
    for key in _REQUIRED.get(shape, ()):
        if value.get(key) is None and not (shape == "property" and "derived_from" in value):
            findings.error(mark, "missing-key", f"{what} needs the key '{key}'")


def _check_values(value: object, shape: str, mark: Mark, findings: Findings, what: str) -> None:
    if not isinstance(value, Map):
        findings.error(mark, "form", f"{what} must be a mapping, not {describe(value)}")
        return
    for key, content in value.items():
        check(content, shape, value.key_mark(key), findings, f"'{key}'")


def _check_pairs(value: object, shape: str, mark: Mark, findings: Findings, what: str) -> None:
    if not isinstance(value, Seq):
        findings.error(mark, "form", f"{what} must be a list of '- name: ...' items, not {describe(value)}")
        return
    for index, item in enumerate(value):
        if isinstance(item, Map) and len(item) == 1:
            _check_values(item, shape, item.mark, findings, what)
        else:
            findings.error(value.value_mark(index), "form", f"an item of {what} must be one '- name: ...' pair")


def _check_plain(value: object, shape: str, mark: Mark, findings: Findings, what: str) -> None:
    if shape == "forbidden":
        findings.error(mark, "form", f"{what} is not allowed here")
        return
    fits = {
        "map": isinstance(value, Map),
        "list": isinstance(value, Seq),
        "text": isinstance(value, str),
        "flag": isinstance(value, bool),
        "scalar": not isinstance(value, (Map, Seq)),
    }[shape]
    if not fits:
        findings.error(mark, "form", f"{what} must be {_WORDS[shape]}, not {describe(value)}")


def describe(value: object) -> str:
    """Say in a few words what a value is."""
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, (Seq, list, tuple)):
        return "a list"
    text = str(value)
    return repr(text if len(text) <= 40 else f"{text[:37]}...") if isinstance(value, str) else text
