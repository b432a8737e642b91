"""A template with other defaults for its inputs: the text stays, comments too, only the values change."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from im.errors import InputError
from im.topology.document import Float, Map, as_map
from im.topology.reader import parse, plain_value
from im.topology.software import plain
from im.topology.values import version_text

if TYPE_CHECKING:
    from im.topology.model import Mark


_PLAIN: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/+ -]*[A-Za-z0-9._/+-])?")
"""What needs no quotes, whatever stands around it."""


def with_answers(text: str, answers: Mapping[str, object]) -> str:
    """Return ``text`` with ``answers`` as the defaults of its inputs.

    Raises :class:`im.errors.InputError` for an input whose default is not written on one line.
    """
    root, _ = parse(text, "")
    inputs = as_map(as_map(as_map(root).get("topology_template")).get("inputs"))
    lines = text.splitlines(keepends=True)
    for name, answer in answers.items():
        body = as_map(inputs.get(name))
        if "default" not in body or isinstance(body["default"], (Map, list)):
            raise InputError(f"the default of the input {name!r} is not one plain value", hint="write it in the file")
        is_number = isinstance(answer, (int, float)) and not isinstance(answer, bool)
        value = version_text(answer) if is_number and body.get("type") == "string" else answer
        _replace(lines, body.value_mark("default"), value, name)
    return "".join(lines)


def _replace(lines: list[str], mark: Mark, answer: object, name: str) -> None:
    line = lines[mark.line - 1]
    start = mark.column - 1
    end = _end_of_scalar(line, start)
    if end < 0:
        raise InputError(f"the default of the input {name!r} goes on over lines", hint="write it in the file")
    lines[mark.line - 1] = line[:start] + written(answer) + line[end:]


def _end_of_scalar(line: str, start: int) -> int:
    """Return where the plain or quoted value ends that begins at ``start``; -1 where it does not end on this line."""
    quote = line[start : start + 1]
    if quote in {'"', "'"}:
        end = line.find(quote, start + 1)
        return end + 1 if end >= 0 else -1
    if quote in {"|", ">", "&", "*", "!"}:
        return -1
    rest = line[start:].rstrip("\n")
    before = line[:start]
    in_braces = sum(map(before.count, "{[")) > sum(map(before.count, "}]"))
    stops = [rest.find(stop) for stop in (" #", *((",", "}", "]") if in_braces else ())) if rest.find(stop) >= 0]
    return start + len((rest[: min(stops)] if stops else rest).rstrip())


def written(value: object) -> str:
    """Return a value as YAML on one line, in quotes where it would be read as something else without."""
    if isinstance(value, Float):
        return value.text
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and plain_value(value) == value
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(plain(value), ensure_ascii=False)
