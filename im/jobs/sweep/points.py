"""Points of a scan: where they come from, and how they become words of a command. Pure but for reading the file."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import isfinite, prod
from pathlib import Path

import yaml

from im.errors import InputError

Point = dict[str, str]

_PLACE = re.compile(r"\{(\w+)\}")
INDEX = "point"
"""The name by which a command gets the point's number."""
MOST = 1_000_000
"""Points of a grid: each of them gets a folder."""


def read(path: Path) -> list[Point]:
    """Return the points of a file: a table (``.csv``) or a grid (``.yaml``). Raises :class:`im.errors.InputError`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error
    try:
        found = list(grid(_as_written(text)) if path.suffix in {".yaml", ".yml"} else table(text))
        _check_values(found)
    except (ValueError, ArithmeticError, csv.Error, yaml.YAMLError) as error:
        raise InputError(f"is no list of points: {error}", where=str(path), hint="see docs/sweeps.md") from error
    if not found:
        raise InputError("holds no point", where=str(path))
    return found


def table(text: str) -> Iterator[Point]:
    """Yield a point per line; the first line names the parameters. Raises ``ValueError``."""
    rows = csv.reader(io.StringIO(text, newline=""))
    names = [name.strip() for name in next(rows, [])]
    _check_names(names)
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            raise ValueError(f"line {rows.line_num} has {len(row)} values, not {len(names)}")
        yield dict(zip(names, (value.strip() for value in row), strict=True))


def _as_written(text: str) -> object:
    """Read YAML without making numbers and truth values of words: ``010`` and ``yes`` mean what they say."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it builds text, lists and mappings only


def grid(document: object) -> Iterator[Point]:
    """Yield every combination; a parameter is a list, a value, or ``{from, to, steps}``. Raises ``ValueError``."""
    if not isinstance(document, Mapping):
        raise ValueError("it must be a mapping of parameters")  # noqa: TRY004 - the same kind of fault as the others
    names = [str(name) for name in document]
    _check_names(names)
    values = [_values(name, given) for name, given in zip(names, document.values(), strict=True)]
    if prod(map(len, values)) > MOST:
        raise ValueError(f"it has more than {MOST:,} points")
    for each in itertools.product(*values):
        yield dict(zip(names, each, strict=True))


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not re.fullmatch(r"\w+", name) or name == INDEX or names.count(name) > 1:
            raise ValueError(f"{name!r} cannot be a parameter's name")


def _check_values(found: Sequence[Point]) -> None:
    if any("\0" in value for point in found for value in point.values()):
        raise ValueError("a value has a zero byte in it, which no command can be given")


def _values(name: str, given: object) -> Sequence[str]:
    if isinstance(given, Mapping):
        return _range(name, given)
    values = given if isinstance(given, list) else [given]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        raise ValueError(f"each value of {name} must be a number or text")
    return texts


def _range(name: str, given: Mapping[str, object]) -> list[str]:
    """Return evenly spaced numbers, reckoned in decimals: nothing is lost of small ones, and zero is zero."""
    if set(given) != {"from", "to", "steps"} or not all(isinstance(value, str) for value in given.values()):
        raise ValueError("a range has from, to and steps")
    first, last, steps = _number(str(given["from"])), _number(str(given["to"])), int(str(given["steps"]))
    if not 1 <= steps <= MOST:
        raise ValueError(f"the steps of {name} must be 1 to {MOST:,}")
    return [repr(float(first + (last - first) * i / max(1, steps - 1))) for i in range(steps)]


def _number(text: str) -> Decimal:
    if not isfinite(float(text)):
        raise ValueError(f"a range has no end {text}")
    return Decimal(text)


def check_command(words: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a command that names a parameter which no point has. Raises :class:`im.errors.InputError`."""
    for word in words:
        for name in _PLACE.findall(word):
            if name not in {*names, INDEX}:
                hint = f"there are: {', '.join([*names, INDEX])}"
                raise InputError(f"the points have no parameter {name!r}", where=word, hint=hint)
