"""The small grammar that text/plain and text/occi share: quoted strings, lists, ``name=value``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from im.errors import InputError, ProviderError
from im.providers.occi.model import Value

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
TYPE = re.compile(r"[^\s#\"<>;,]+#[^\s\"<>;,#]+")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_PAIR = re.compile(r'\s*([^\s="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^"\s][^"]*?)(?=\s+[^\s="]+=|\s*$)\s*', re.DOTALL)
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|[^";,<]+|[";,<]', re.DOTALL)


def split(text: str, separator: str) -> list[str]:
    """Split at a separator, but not inside of quotes or of ``<>``. Raises if a quote stays open."""
    parts, current = [], ""
    for piece in _PIECE.findall(text):
        if piece == separator:
            parts.append(current.strip())
            current = ""
        elif piece == '"':
            raise ProviderError(f"half a rendering: a quote stays open in {shorten(text)}")
        else:
            current += piece
    return [part for part in (*parts, current.strip()) if part]


def pairs(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and raw value of each ``name=value``; old servers put several into one part. Raises for others."""
    for part in parts:
        at = 0
        while at < len(part):
            found = _PAIR.match(part, at)
            if not found:
                raise ProviderError(f"half a rendering: no value in {shorten(part[at:])}")
            yield found[1], found[2].strip()
            at = found.end()


def read_value(raw: str) -> Value:
    """Return a value: quoted is a string, bare is a number or a truth value, anything else a string as it stands."""
    if raw.startswith('"'):
        return read_string(raw)
    if NUMBER.fullmatch(raw):
        return float(raw) if any(mark in raw for mark in ".eE") else int(raw)
    return {"true": True, "false": False}.get(raw.lower(), raw)


def read_string(raw: str) -> str:
    """Return the text of a string, quoted or not."""
    if len(raw) > 1 and raw.startswith('"') and raw.endswith('"'):
        return re.sub(r'\\(["\\])', r"\1", raw[1:-1])
    return raw


def write_value(value: Value) -> str:
    """Return a value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else write_string(value)


def write_string(text: str) -> str:
    """Return a quoted string. Raises :class:`im.errors.InputError` where it would become another line or header."""
    escaped = checked(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def checked(text: str) -> str:
    """Return a text without control characters. Raises :class:`im.errors.InputError` for any other."""
    if bad := next((char for char in text if not char.isprintable()), ""):
        raise InputError(f"a value for OCCI has the character {bad!r} in it: {shorten(text)}", hint="one line of text")
    return text


def checked_name(name: str) -> str:
    """Return the name of an attribute. Raises :class:`im.errors.InputError` if it is none."""
    if not NAME.fullmatch(name):
        raise InputError(f"{shorten(name)} is not the name of an OCCI attribute")
    return name


def checked_type(name: str) -> str:
    """Return the name of a type. Raises :class:`im.errors.InputError` if it is none."""
    if not TYPE.fullmatch(checked(name)):
        raise InputError(f"{shorten(name)} is not the name of an OCCI type")
    return name


def shorten(text: str, longest: int = 80) -> str:
    """Return the beginning of a text, for messages."""
    return repr(text if len(text) <= longest else f"{text[:longest]}…")
