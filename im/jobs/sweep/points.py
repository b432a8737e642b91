"""Points of a scan: where they come from, and how they become words of a command. Pure but for reading the file."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from im.errors import InputError

Point = dict[str, str]

_PLACE = re.compile(r"\{(\w+)\}")
INDEX = "point"
"""The name by which a command gets the point's number."""


def read(path: Path) -> list[Point]:
    """Return the points of a file: a table (``.csv``) or a grid (``.yaml``). Raises :class:`im.errors.InputError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error
    try:
        found = list(grid(yaml.safe_load(text)) if path.suffix in {".yaml", ".yml"} else table(text))
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"is no list of points: {error}", where=str(path), hint="see docs/sweeps.md") from error
    if not found:
        raise InputError("holds no point", where=str(path))
    return found


def table(text: str) -> Iterator[Point]:
    """Yield a point per line; the first line names the parameters. Raises ``ValueError``."""
    rows = csv.reader(text.splitlines())
    names = [name.strip() for name in next(rows, [])]
    _check_names(names)
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            raise ValueError(f"line {rows.line_num} has {len(row)} values, not {len(names)}")
        yield dict(zip(names, (value.strip() for value in row), strict=True))


def grid(document: object) -> Iterator[Point]:
    """Yield every combination; a parameter is a list, a value, or ``{from, to, steps}``. Raises ``ValueError``."""
    if not isinstance(document, Mapping):
        raise ValueError("it must be a mapping of parameters")  # noqa: TRY004 - the same kind of fault as the others
    names = [str(name) for name in document]
    _check_names(names)
    for values in itertools.product(*map(_values, document.values())):
        yield dict(zip(names, values, strict=True))


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not re.fullmatch(r"\w+", name) or name == INDEX or names.count(name) > 1:
            raise ValueError(f"{name!r} cannot be a parameter's name")


def _values(given: object) -> list[str]:
    if isinstance(given, Mapping):
        if set(given) != {"from", "to", "steps"} or int(given["steps"]) < 1:
            raise ValueError("a range has from, to and steps")
        first, last, steps = float(given["from"]), float(given["to"]), int(given["steps"])
        return [repr(round(first + (last - first) * i / max(1, steps - 1), 12)) for i in range(steps)]
    return [str(value) for value in given] if isinstance(given, list) else [str(given)]


def check_command(words: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a command that names a parameter which no point has. Raises :class:`im.errors.InputError`."""
    for word in words:
        for name in _PLACE.findall(word):
            if name not in {*names, INDEX}:
                hint = f"there are: {', '.join([*names, INDEX])}"
                raise InputError(f"the points have no parameter {name!r}", where=word, hint=hint)
