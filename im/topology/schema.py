"""What a property, input or attribute may hold: its type, the schema of its entries, its constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from im.topology.document import Map, as_map
from im.topology.findings import did_you_mean
from im.topology.types import PRIMITIVES

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.model import Mark
    from im.topology.types import Types

OPERATORS: Final = frozenset(
    ("equal", "greater_than", "greater_or_equal", "less_than", "less_or_equal", "in_range", "valid_values",
     "length", "min_length", "max_length", "pattern", "schema")
)  # fmt: skip
MAX_NESTING: Final = 16


@dataclass(frozen=True, slots=True)
class Constraint:
    """One condition on a value."""

    operator: str
    argument: object


@dataclass(frozen=True, slots=True)
class Schema:
    """A type with its conditions. ``type`` is a primitive's name or a data type's full name; "" where it is unknown."""

    type: str
    constraints: tuple[Constraint, ...] = ()
    entry: Schema | None = None
    key: Schema | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """The definition of a property, an input or an attribute."""

    name: str
    schema: Schema
    required: bool
    default: object
    mark: Mark
    default_mark: Mark


def property_of(name: str, body: object, holder: Map, types: Types) -> Property:
    """Return the definition that ``body`` writes; ``holder`` is the mapping that it stands in."""
    content = as_map(body)
    mark = holder.key_mark(name)
    default_mark = content.value_mark("default") if "default" in content else mark
    required = content.get("required") is not False
    return Property(name, schema_of(content, types), required, content.get("default"), mark, default_mark)


def properties_of(section: Map, types: Types) -> dict[str, Property]:
    """Return the definitions of a ``properties`` section."""
    return {str(name): property_of(name, body, section, types) for name, body in section.items()}


def schema_of(body: object, types: Types, depth: int = 0) -> Schema:
    """Return the schema that a definition (``type``, ``entry_schema``, ``constraints``) writes."""
    if isinstance(body, str):
        body = {"type": body}
    content: dict[str, object] = body if isinstance(body, dict) else {}
    name = content.get("type", "string")
    constraints = constraints_of(content.get("constraints"))
    entry, key = content.get("entry_schema"), content.get("key_schema")
    inner = schema_of(entry, types, depth + 1) if entry is not None and depth < MAX_NESTING else None
    keys = schema_of(key, types, depth + 1) if key is not None and depth < MAX_NESTING else None
    return Schema(type_name(name, types), constraints, inner, keys)


def type_name(name: object, types: Types) -> str:
    """Return a primitive's name as it is, a data type's full name, "" for an unknown one."""
    text = str(name).removeprefix("tosca:")
    if text in PRIMITIVES and types.find("data", name) is None:
        return text
    found = types.find("data", name)
    return found.name if found else text if text in PRIMITIVES else ""


def constraints_of(section: object) -> tuple[Constraint, ...]:
    """Return the conditions of a ``constraints`` list; malformed ones are reported by :func:`check_definition`."""
    items = section if isinstance(section, list) else []
    return tuple(
        Constraint(operator, argument)
        for item in items
        if isinstance(item, dict)
        for operator, argument in item.items()
        if operator in OPERATORS
    )


def native(schema: Schema, types: Types) -> Schema:
    """Return the primitive that a data type refines (``PortDef`` is an integer), with all conditions.

    Else ``schema`` itself.
    """
    if schema.type in PRIMITIVES or not schema.type:
        return schema
    constraints = schema.constraints
    for found in types.chain("data", schema.type):
        constraints += constraints_of(found.body.get("constraints"))
        base = found.body.get("type") or found.body.get("derived_from")
        if isinstance(base, str) and base in PRIMITIVES:
            own = schema_of(found.body, types)
            return Schema(base, constraints, schema.entry or own.entry, schema.key or own.key)
    return schema


def check_definition(body: object, types: Types, mark: Mark, findings: Findings, depth: int = 0) -> None:
    """Report an unknown data type, and constraints that are none, in a property definition or an entry schema."""
    if isinstance(body, str):
        _check_type(body, types, mark, findings)
    if not isinstance(body, Map) or depth > MAX_NESTING:
        return
    if isinstance(body.get("type"), str):
        _check_type(body["type"], types, body.value_mark("type"), findings)
    for key in ("entry_schema", "key_schema"):
        check_definition(body.get(key), types, body.value_mark(key), findings, depth + 1)
    check_constraints(body.get("constraints"), findings)


def _check_type(name: str, types: Types, mark: Mark, findings: Findings) -> None:
    if not type_name(name, types):
        hint = did_you_mean(name, PRIMITIVES) or types.suggestion("data", name)
        findings.error(mark, "unknown-type", f"there is no data type '{name}'", hint)


def check_constraints(section: object, findings: Findings) -> None:
    """Report what is not a constraint in a ``constraints`` list."""
    for item in section if isinstance(section, list) else []:
        for operator in item if isinstance(item, Map) else ():
            if operator not in OPERATORS:
                hint = did_you_mean(str(operator), OPERATORS) or f"known: {', '.join(sorted(OPERATORS))}"
                findings.error(item.key_mark(operator), "unknown-key", f"there is no constraint '{operator}'", hint)
