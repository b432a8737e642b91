"""What differs between two topologies, in the words of a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from im.topology.model import Topology

_NAMED: Final = ("groups", "networks", "software", "outputs", "input_definitions", "volumes", "operations")
_LEFT_OUT: Final = frozenset(("mark", "warnings", "name", "inputs"))
_WORDS: Final = {"groups": "machines", "input_definitions": "input", "outputs": "output"}
_SIZES: Final = (" memory", " disk", " size", " boot_volume")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is only in one of two topologies, or is another in each."""

    kind: Literal["+", "-", "~"]
    what: str
    before: object = None
    after: object = None

    def __str__(self) -> str:
        if self.kind == "~":
            show = _size if self.what.endswith(_SIZES) else _text
            return f"~ {self.what}: {show(self.before)} -> {show(self.after)}"
        return f"{self.kind} {self.what}"


def compare(before: Topology, after: Topology) -> tuple[Difference, ...]:
    """Return what ``after`` has, has not, or has otherwise than ``before``. Where things are written does not count."""
    return tuple(_compare(_plain(asdict(before)), _plain(asdict(after)), ""))


def _plain(value: Any, key: str = "") -> Any:  # noqa: ANN401 - whatever a topology holds
    """Return a topology as mappings by name; of what runs, the file's name and not where it lies."""
    if isinstance(value, Mapping):
        return {name: _plain(item, str(name)) for name, item in value.items() if name not in _LEFT_OUT or not key}
    if key in _NAMED and all(isinstance(item, dict) for item in value):
        return {item["name"]: {k: _plain(v, k) for k, v in item.items() if k not in _LEFT_OUT} for item in value}
    if key == "implementation":
        return PurePath(str(value)).name
    return list(value) if isinstance(value, tuple) else value


def _compare(before: Any, after: Any, path: str) -> Iterator[Difference]:  # noqa: ANN401 - whatever a topology holds
    if before == after:
        return
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield Difference("~", path, before, after)
        return
    for key in dict.fromkeys((*before, *after)):
        if not path and key in _LEFT_OUT:
            continue
        word = _WORDS.get(key, str(key)) if not path else str(key)
        inner = f"{path} {word}".strip()
        if key not in before:
            yield Difference("+", inner)
        elif key not in after:
            yield Difference("-", inner)
        else:
            yield from _compare(before[key], after[key], inner)


def _size(value: object) -> str:
    return f"{value / 10**9:.4g} GB" if isinstance(value, int) and value else _text(value or None)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "nothing" if value in (None, "") else str(value)
