"""The inputs of a template: what it declares, what the user gave, and what follows from both."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from im.topology.document import Map, Seq, as_map
from im.topology.findings import Findings, did_you_mean
from im.topology.model import InputDefinition, Mark
from im.topology.schema import Property, check_definition, property_of
from im.topology.software import plain
from im.topology.syntax import holds_function
from im.topology.values import check_value, integer, version_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from im.topology.types import Types


Chance = Callable[[str, int], str]
"""Returns the random word of an input: its name, and the number of letters."""
_RANDOM: Final = re.compile(r"random\(\s*([0-9]{0,3})\s*\)")
_TOKEN: Final = re.compile(r"access_token\(.*\)")
MAX_LETTERS: Final = 256


def no_chance(name: str, length: int) -> str:
    """Return the same word always: for readings that keep no secret."""
    return (f"{name}-" * length)[:length]


def read_inputs(
    topology: Map,
    given: Mapping[str, object],
    types: Types,
    findings: Findings,
    chance: Chance = no_chance,
) -> tuple[dict[str, object], tuple[InputDefinition, ...]]:
    """Return the value of every declared input and the declarations, after checking what was given against them."""
    section = as_map(topology.get("inputs"))
    mark = topology.key_mark("inputs") if section else topology.mark
    for name in given:
        if name not in section:
            hint = did_you_mean(name, map(str, section)) or _declared(section)
            findings.error(mark, "unknown-input", f"the template has no input '{name}'", hint)
    values: dict[str, object] = {}
    definitions = []
    for name, body in section.items():
        check_definition(body, types, section.key_mark(name), findings)
        definition = property_of(str(name), body, section, types)
        answered = _special(definition, chance, given, findings)
        values[str(name)] = _value(answered, as_map(body), given, types, findings)
        definitions.append(_definition(definition, as_map(body)))
    return values, tuple(definitions)


def _special(definition: Property, chance: Chance, given: Mapping[str, object], findings: Findings) -> Property:
    """Return the definition with IM's special defaults answered: ``random(12)``, ``access_token()``."""
    default = definition.default
    if not isinstance(default, str) or definition.schema.type != "string" or given.get(definition.name) is not None:
        return definition
    asked = _RANDOM.fullmatch(default.strip())
    if asked:
        letters = min(int(asked[1] or 10), MAX_LETTERS)
        return replace(definition, default=chance(definition.name, letters))
    if _TOKEN.fullmatch(default.strip()):
        message = f"the default of the input '{definition.name}' is the token of IM's user, which im does not have"
        findings.error(definition.default_mark, "function", message, f"give it with --input {definition.name}=TOKEN")
    return definition


def _declared(section: Map) -> str:
    return f"it has {', '.join(map(str, section))}" if section else "it declares none"


def _definition(definition: Property, body: Map) -> InputDefinition:
    description = body.get("description")
    return InputDefinition(
        definition.name,
        str(body.get("type", "string")),
        " ".join(description.split()) if isinstance(description, str) else "",
        plain(definition.default),
        required=definition.required and definition.default is None,
    )


def _value(definition: Property, body: Map, given: Mapping[str, object], types: Types, findings: Findings) -> object:
    name = definition.name
    if given.get(name) is not None:
        value, mark = marked(_as_text(given[name], definition), definition.mark), definition.mark
        what = f"the input '{name}'"
    else:
        value, mark = body.get("value", definition.default), definition.default_mark
        what = f"the default of the input '{name}'"
    if value is None and definition.required:
        hint = f"give it with --input {name}=VALUE"
        findings.error(definition.mark, "missing-input", f"the input '{name}' has no default and was not given", hint)
    if holds_function(value):
        findings.error(mark, "function", f"{what} cannot be a function")
        return None
    check_value(value, definition.schema, types, mark, findings, what=what)
    return _typed(value, definition)


def _as_text(value: object, definition: Property) -> object:
    """Return a number that was given for a text as it was written: nobody quotes ``--input image=24.04``."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return version_text(value) if is_number and definition.schema.type in {"string", "version"} else value


def _typed(value: object, definition: Property) -> object:
    return integer(value) if definition.schema.type == "integer" and isinstance(value, str) else value


def marked(value: object, mark: Mark) -> object:
    """Return plain data as values that say that they stand at ``mark``."""
    place = (mark.line, mark.column)
    if isinstance(value, dict) and not isinstance(value, Map):
        result = Map(mark.file, place)
        for key, item in value.items():
            result.put(key, marked(item, mark))
        return result
    if isinstance(value, (list, tuple)) and not isinstance(value, Seq):
        items = Seq(mark.file, place)
        items.extend(marked(item, mark) for item in value)
        return items
    return value
