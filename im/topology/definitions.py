"""Checks the types that a template itself defines, and the names of types wherever they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from im.topology.document import Map, Seq, as_map, as_seq
from im.topology.schema import check_constraints, check_definition, properties_of
from im.topology.types import MAX_ANCESTORS, PRIMITIVES, Kind, TypeDefinition, Types
from im.topology.values import check_value

if TYPE_CHECKING:
    from im.topology.findings import Findings

_LISTS: Final[tuple[tuple[str, tuple[Kind, ...]], ...]] = (
    ("valid_source_types", ("node", "relationship")),
    ("valid_target_types", ("capability", "node")),
)


def check_types(types: Types, findings: Findings) -> None:
    """Report what is wrong with the types that the template itself defines."""
    names = Names(types, findings)
    for found in types.defined_in("template"):
        _check_parent(found, types, findings)
        for section in ("properties", "attributes", "inputs"):
            _check_properties(as_map(found.body.get(section)), types, findings)
        for key, kinds in _LISTS:
            names.check_list(as_seq(found.body.get(key)), kinds)
        _check_capabilities(as_map(found.body.get("capabilities")), names)
        if found.kind == "node":
            for item in as_seq(found.body.get("requirements")):
                for content in as_map(item).values():
                    _check_requirement(as_map(content), names)
        if found.kind == "data":
            _check_data_type(found, findings)


class Names:
    """Reports names of types that do not exist."""

    def __init__(self, types: Types, findings: Findings) -> None:
        self.types = types
        self.findings = findings

    def check(self, kind: Kind, holder: Map, key: object) -> None:
        """Report the value of ``key`` where it names no type of ``kind``."""
        name = holder.get(key)
        if isinstance(name, str) and self.types.find(kind, name) is None:
            message = f"there is no {kind} type '{name}'"
            self.findings.error(holder.value_mark(key), "unknown-type", message, self.types.suggestion(kind, name))

    def check_list(self, names: Seq, kinds: tuple[Kind, ...]) -> None:
        """Report the items that name no type of any of ``kinds``."""
        for index, name in enumerate(names):
            if all(self.types.find(kind, name) is None for kind in kinds):
                message = f"there is no {kinds[0]} type '{name}'"
                hint = self.types.suggestion(kinds[0], name)
                self.findings.error(names.value_mark(index), "unknown-type", message, hint)


def _check_parent(found: TypeDefinition, types: Types, findings: Findings) -> None:
    parent = found.body.get("derived_from")
    mark = found.body.value_mark("derived_from")
    if not isinstance(parent, str) or (found.kind == "data" and parent in PRIMITIVES):
        return
    if types.find(found.kind, parent) is None:
        message = f"the {found.kind} type '{found.name}' derives from '{parent}', which does not exist"
        findings.error(mark, "unknown-type", message, types.suggestion(found.kind, parent))
    elif len(types.chain(found.kind, found.name)) >= MAX_ANCESTORS:
        message = f"the {found.kind} type '{found.name}' has {MAX_ANCESTORS} ancestors or more"
        findings.error(mark, "too-deep", message)
    elif any(_parent(other, types) == found.name for other in types.chain(found.kind, found.name)):
        findings.error(mark, "cycle", f"the {found.kind} type '{found.name}' derives from itself")


def _parent(found: TypeDefinition, types: Types) -> str:
    parent = found.body.get("derived_from")
    return types.name(found.kind, parent) if isinstance(parent, str) else ""


def _check_properties(section: Map, types: Types, findings: Findings) -> None:
    for name, body in section.items():
        if isinstance(body, Map):
            check_definition(body, types, section.key_mark(name), findings)
    for name, definition in properties_of(section, types).items():
        if definition.default is not None:
            what = f"the default of '{name}'"
            check_value(definition.default, definition.schema, types, definition.default_mark, findings, what=what)


def _check_data_type(found: TypeDefinition, findings: Findings) -> None:
    check_constraints(found.body.get("constraints"), findings)
    if str(found.body.get("derived_from")) in PRIMITIVES and found.body.get("properties"):
        message = f"'{found.name}' derives from '{found.body['derived_from']}' and can have no properties"
        findings.error(found.body.value_mark("derived_from"), "form", message)


def _check_capabilities(capabilities: Map, names: Names) -> None:
    for name, content in capabilities.items():
        if isinstance(content, Map):
            names.check("capability", content, "type")
            _check_properties(as_map(content.get("properties")), names.types, names.findings)
        else:
            names.check("capability", capabilities, name)


def _check_requirement(content: Map, names: Names) -> None:
    names.check("capability", content, "capability")
    names.check("node", content, "node")
    relationship = content.get("relationship")
    if isinstance(relationship, Map):
        names.check("relationship", relationship, "type")
    else:
        names.check("relationship", content, "relationship")
