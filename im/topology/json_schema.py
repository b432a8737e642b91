"""A template's inputs as a JSON Schema, for forms and for checks by others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from im.topology.document import Map, as_map
from im.topology.schema import Constraint, Schema, native, properties_of, property_of
from im.topology.software import plain
from im.topology.units import UNITS, Kind

if TYPE_CHECKING:
    from im.topology.types import Types

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAX_NESTING: Final = 8
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "version": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+){0,2}(\.[A-Za-z0-9_]+(-[0-9]+)?)?$"},
    "list": {"type": "array"},
    "map": {"type": "object"},
    "range": {"type": "array", "prefixItems": [{"type": "integer"}, {}], "minItems": 2, "maxItems": 2},
    "null": {"type": "null"},
}


def schema_of_inputs(template: Map, types: Types) -> dict[str, Any]:
    """Return the JSON Schema of the inputs that a template declares."""
    section = as_map(as_map(template.get("topology_template")).get("inputs"))
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, body in section.items():
        definition = property_of(str(name), body, section, types)
        properties[str(name)] = _described(schema_json(definition.schema, types), as_map(body))
        if definition.default is not None:
            properties[str(name)]["default"] = plain(definition.default)
        elif definition.required:
            required.append(str(name))
    schema: dict[str, Any] = {"$schema": DRAFT, "type": "object", "properties": properties}
    return schema | ({"required": required} if required else {}) | {"additionalProperties": False}


def _described(schema: dict[str, Any], body: Map) -> dict[str, Any]:
    description = body.get("description")
    return schema | ({"description": " ".join(description.split())} if isinstance(description, str) else {})


def schema_json(schema: Schema, types: Types, depth: int = 0) -> dict[str, Any]:
    """Return what a value of ``schema`` may be, as JSON Schema; conditions that it cannot say are left out."""
    schema = native(schema, types)
    if schema.type.startswith("scalar-unit."):
        units = "|".join(UNITS[_kind(schema.type)])
        result: dict[str, Any] = {"type": "string", "pattern": rf"^\s*[0-9]+(\.[0-9]+)?\s*({units})\s*$"}
        return result | _choices(schema)
    if schema.type in _TYPES:
        result = dict(_TYPES[schema.type])
        if schema.type == "list" and schema.entry and depth < _MAX_NESTING:
            result["items"] = schema_json(schema.entry, types, depth + 1)
        if schema.type == "map" and schema.entry and depth < _MAX_NESTING:
            result["additionalProperties"] = schema_json(schema.entry, types, depth + 1)
        for constraint in schema.constraints:
            result |= _condition(constraint, schema.type)
        return result
    return _object(schema, types, depth) if schema.type else {}


def _object(schema: Schema, types: Types, depth: int) -> dict[str, Any]:
    if depth >= _MAX_NESTING:
        return {"type": "object"}
    known = properties_of(types.merged("data", schema.type, "properties"), types)
    properties = {name: schema_json(one.schema, types, depth + 1) for name, one in known.items()}
    required = [name for name, one in known.items() if one.required and one.default is None]
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _kind(name: str) -> Kind:
    kind = name.removeprefix("scalar-unit.")
    return kind if kind in {"time", "frequency", "bitrate"} else "size"  # type: ignore[return-value]


def _choices(schema: Schema) -> dict[str, Any]:
    """Return the values that a size may have; its other conditions compare numbers, which its text is not."""
    found = [one.argument for one in schema.constraints if one.operator == "valid_values"]
    return {"enum": plain(found[0])} if found else {}


def _condition(constraint: Constraint, kind: str) -> dict[str, Any]:
    argument = plain(constraint.argument)
    length = {"list": "Items", "map": "Properties"}.get(kind, "Length")
    words: dict[str, dict[str, Any]] = {
        "equal": {"const": argument},
        "greater_than": {"exclusiveMinimum": argument},
        "greater_or_equal": {"minimum": argument},
        "less_than": {"exclusiveMaximum": argument},
        "less_or_equal": {"maximum": argument},
        "valid_values": {"enum": argument},
        "pattern": {"pattern": f"^({argument})$"},
        "length": {f"min{length}": argument, f"max{length}": argument},
        "min_length": {f"min{length}": argument},
        "max_length": {f"max{length}": argument},
    }
    if constraint.operator == "in_range" and isinstance(argument, list) and len(argument) == 2:
        bounds = zip(("minimum", "maximum"), argument, strict=True)
        return {word: bound for word, bound in bounds if isinstance(bound, (int, float))}
    return words.get(constraint.operator, {})
