"""The inputs that the user gives: on the command line and in files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from im.errors import InputError
from im.sources.files import Source
from im.sources.read import read_yaml
from im.topology.document import Map
from im.topology.reader import parse, plain_value

_ZEROS: Final = re.compile(r"0[0-9]+")
"""Written with leading zeros: a text, and no number to the base of eight."""


def read_inputs(pairs: Sequence[str], files: Sequence[Path]) -> dict[str, object]:
    """Return inputs from YAML ``files`` and from ``name=value`` pairs, whose values are read as YAML.

    Pairs win over files, and later ones over earlier ones.

    Raises :class:`im.errors.InputError`.
    """
    inputs: dict[str, object] = {}
    for file in files:
        inputs.update(_inputs_of(file))
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.strip():
            raise InputError(f"'{pair}' is no input", hint="write --input NAME=VALUE")
        inputs[name.strip()] = _input_value(name.strip(), text)
    return inputs


def _inputs_of(file: Path) -> dict[str, object]:
    value, found = read_yaml(Source(file, str(file)))
    if found:
        raise InputError(found[0].message, where=str(found[0].mark), hint=found[0].hint)
    if value is None:
        return {}
    if not isinstance(value, Map):
        raise InputError("the file must hold a mapping of names to values", where=str(file))
    return {str(name): content for name, content in value.items()}


def _input_value(name: str, text: str) -> object:
    if not text.lstrip().startswith(("[", "{", '"', "'")):
        return text if _ZEROS.fullmatch(text) else plain_value(text) if text else ""
    value, found = parse(text, f"--input {name}")
    if found:
        raise InputError(found[0].message, where=f"--input {name}", hint="quote it for the shell and for YAML")
    return value
