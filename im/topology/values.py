"""Checks values against their schema: the type first, then the constraints."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from im.topology.document import Float, Map, Seq
from im.topology.findings import did_you_mean
from im.topology.keynames import describe
from im.topology.schema import Constraint, Schema, native, properties_of
from im.topology.syntax import is_function
from im.topology.units import UNITS, Kind, scalar

if TYPE_CHECKING:
    from im.topology.findings import Findings
    from im.topology.model import Mark
    from im.topology.types import Types

_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+){0,2}(\.[A-Za-z0-9_]+(-[0-9]+)?)?")
_NOUNS: Final = {"list": "a list", "map": "a mapping", "integer": "an integer"}
MAX_PATTERN_TEXT: Final = 256
"""Longer texts are not matched against patterns, which a hostile template could make take for ever."""


def check_value(value: object, schema: Schema, types: Types, mark: Mark, findings: Findings, *, what: str) -> None:
    """Report what keeps ``value`` from being of ``schema``. Functions that wait for the nodes are left alone."""
    schema = native(schema, types)
    if value is None or not schema.type or is_function(value):
        return
    if types.find("data", schema.type) is not None and schema.type not in _READERS:
        _check_data(value, schema, types, mark, findings, what=what)
        return
    reader = _READERS.get(schema.type)
    if reader is not None and not reader(value):
        findings.error(
            mark, "value-type", f"{what} must be {_noun(schema.type)}, not {describe(value)}", _hint(value, schema.type)
        )
        return
    _check_entries(value, schema, types, findings, what)
    _check_constraints(value, schema, mark, findings, what=what)


def _noun(name: str) -> str:
    if name.startswith("scalar-unit."):
        return f"a {name} such as '{_EXAMPLES[name]}'"
    return _NOUNS.get(name, f"a {name}")


_EXAMPLES: Final = {
    "scalar-unit.size": "1 GB",
    "scalar-unit.time": "10 m",
    "scalar-unit.frequency": "2.4 GHz",
    "scalar-unit.bitrate": "10 Mbps",
}


def _hint(value: object, name: str) -> str:
    if name == "string" and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    if name == "version":
        return "such as 1.2.3"
    if name.startswith("scalar-unit."):
        kind = cast("Kind", name.removeprefix("scalar-unit."))
        return f"a number and a unit: {', '.join(UNITS[kind])}"
    return ""


def _check_entries(value: object, schema: Schema, types: Types, findings: Findings, what: str) -> None:
    if schema.type == "list" and isinstance(value, Seq):
        for index, item in enumerate(value):
            if schema.entry is not None:
                check_value(
                    item, schema.entry, types, value.value_mark(index), findings, what=f"item {index} of {what}"
                )
    if schema.type == "map" and isinstance(value, Map):
        for key, item in value.items():
            if schema.entry is not None:
                check_value(item, schema.entry, types, value.value_mark(key), findings, what=f"'{key}' of {what}")
            if schema.key is not None:
                check_value(key, schema.key, types, value.key_mark(key), findings, what=f"the key '{key}' of {what}")


def _check_data(value: object, schema: Schema, types: Types, mark: Mark, findings: Findings, *, what: str) -> None:
    known = properties_of(types.merged("data", schema.type, "properties"), types)
    if not isinstance(value, Map):
        if known:
            findings.error(
                mark,
                "value-type",
                f"{what} must be a {schema.type}, not {describe(value)}",
                f"keys: {', '.join(known)}",
            )
        return
    if not known:
        return
    for key, item in value.items():
        if str(key) in known:
            check_value(item, known[str(key)].schema, types, value.value_mark(key), findings, what=f"'{key}' of {what}")
        else:
            hint = did_you_mean(str(key), known) or f"known: {', '.join(known)}"
            findings.error(value.key_mark(key), "unknown-property", f"{what} has no '{key}'", hint)
    for key, definition in known.items():
        if definition.required and definition.default is None and value.get(key) is None:
            findings.error(mark, "missing-property", f"{what} needs '{key}'", f"it is a {schema.type}")


def _check_constraints(value: object, schema: Schema, mark: Mark, findings: Findings, *, what: str) -> None:
    for constraint in schema.constraints:
        try:
            holds = satisfies(value, constraint, schema.type)
        except (TypeError, ValueError, re.error, OverflowError):
            findings.error(
                mark,
                "constraint",
                f"the constraint '{constraint.operator}' of {what} cannot be applied to {describe(value)}",
            )
            continue
        if not holds:
            findings.error(mark, "constraint", f"{what} is {describe(value)}, but {_condition(constraint)}")


_CONDITIONS: Final = {
    "equal": "must be",
    "greater_than": "must be greater than",
    "greater_or_equal": "must be at least",
    "less_than": "must be less than",
    "less_or_equal": "must be at most",
    "in_range": "must be in the range",
    "valid_values": "must be one of",
    "pattern": "must match",
    "length": "must have the length",
    "min_length": "must have at least the length",
    "max_length": "must have at most the length",
}


def _condition(constraint: Constraint) -> str:
    argument = constraint.argument
    if isinstance(argument, list):
        argument = ", ".join(str(item) for item in argument)
    return f"{_CONDITIONS[constraint.operator]} {argument}"


def satisfies(value: object, constraint: Constraint, kind: str) -> bool:
    """Tell whether a value of the primitive type ``kind`` keeps a constraint.

    Raises where the two cannot be compared.
    """
    argument = cast("Any", constraint.argument)
    compare: dict[str, Callable[[Any], bool]] = {
        "equal": lambda number: bool(number == _number(argument, kind)),
        "greater_than": lambda number: bool(number > _number(argument, kind)),
        "greater_or_equal": lambda number: bool(number >= _number(argument, kind)),
        "less_than": lambda number: bool(number < _number(argument, kind)),
        "less_or_equal": lambda number: bool(number <= _number(argument, kind)),
        "in_range": lambda number: _in_range(number, argument, kind),
        "valid_values": lambda number: number in [_number(item, kind) for item in argument],
        "length": lambda _: len(cast("Any", value)) == int(argument),
        "min_length": lambda _: len(cast("Any", value)) >= int(argument),
        "max_length": lambda _: len(cast("Any", value)) <= int(argument),
        "pattern": lambda _: _matches(str(value), str(argument)),
        "schema": lambda _: True,
    }
    return compare[constraint.operator](_number(value, kind))


def _matches(text: str, pattern: str) -> bool:
    return len(text) > MAX_PATTERN_TEXT or re.fullmatch(pattern, text) is not None


def _in_range(number: Any, bounds: Any, kind: str) -> bool:  # noqa: ANN401 - whatever the template holds
    low, high = bounds
    values = number if kind == "range" else [number]
    scale = "integer" if kind == "range" else kind
    return all(
        (low == "UNBOUNDED" or value >= _number(low, scale))
        and (high == "UNBOUNDED" or value == "UNBOUNDED" or value <= _number(high, scale))
        for value in values
    )


def _number(value: object, kind: str) -> Any:  # noqa: ANN401 - numbers, texts and versions compare among themselves only
    if kind.startswith("scalar-unit."):
        number = scalar(value, cast("Kind", kind.removeprefix("scalar-unit.")))
        if number is None:
            raise ValueError(value)
        return number
    if kind == "integer":
        return integer(value)
    if kind == "float":
        return float(cast("Any", value))
    return version_text(value) if kind == "version" else value


def version_text(value: object) -> str:
    """Return a version as it was written: YAML takes ``1.10`` for a number."""
    return value.text if isinstance(value, Float) else str(value)


def integer(value: object) -> int | None:
    """Return the whole number that ``value`` is or says, else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]{1,30}\s*", value):
        return int(value)
    return None


def _is_float(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float)) or (
        isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?", value) is not None
    )


def boolean(value: object) -> bool | None:
    """Return the truth that ``value`` is or says, else None."""
    if isinstance(value, bool):
        return value
    return (
        {"true": True, "yes": True, "false": False, "no": False}.get(value.lower()) if isinstance(value, str) else None
    )


def _is_timestamp(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value).strip())
    except ValueError:
        return False
    return isinstance(value, str)


def _is_range(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2 or integer(value[0]) is None:
        return False
    low, high = integer(value[0]), integer(value[1])
    return value[1] == "UNBOUNDED" or (high is not None and low is not None and low <= high)


_READERS: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: integer(value) is not None,
    "float": _is_float,
    "boolean": lambda value: boolean(value) is not None,
    "timestamp": _is_timestamp,
    "range": _is_range,
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, dict),
    "version": lambda value: not isinstance(value, bool) and _VERSION.fullmatch(version_text(value)) is not None,
    "scalar-unit.size": lambda value: scalar(value, "size") is not None,
    "scalar-unit.time": lambda value: scalar(value, "time") is not None,
    "scalar-unit.frequency": lambda value: scalar(value, "frequency") is not None,
    "scalar-unit.bitrate": lambda value: scalar(value, "bitrate") is not None,
}


def version_like(value: object) -> bool:
    """Tell whether ``value`` can be a TOSCA version."""
    return _READERS["version"](value)
