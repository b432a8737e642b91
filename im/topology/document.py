"""Values of YAML documents that remember their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

from im.topology.model import Mark

Place = tuple[int, int]
Spot = tuple[str, Place, Place]
"""File, place of the key, place of the value."""


class Float(float):
    """A decimal number that remembers how it was written: ``1.10`` is not ``1.1`` where a version is meant."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Self:
        """Read ``text`` as YAML writes floats."""
        plain = text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
        number = super().__new__(cls, plain)
        number.text = text
        return number


class Map(dict[Any, Any]):
    """A mapping that knows its file and the place of each key and value (lines and columns from 1)."""

    __slots__ = ("file", "place", "spots")

    def __init__(self, file: str = "", place: Place = (1, 1)) -> None:
        super().__init__()
        self.file = file
        self.place = place
        self.spots: dict[Any, Spot] = {}

    def put(self, key: object, value: object, spot: Spot | None = None) -> None:
        """Set ``key``, which stands at ``spot``: where the mapping begins, if nothing is said."""
        self[key] = value
        self.spots[key] = spot or (self.file, self.place, self.place)

    @property
    def mark(self) -> Mark:
        """Where the mapping begins."""
        return Mark(self.file, *self.place)

    def spot(self, key: object) -> Spot:
        """File and places of ``key``; the mapping's own where it has none."""
        return self.spots.get(key) or (self.file, self.place, self.place)

    def key_mark(self, key: object) -> Mark:
        """Where ``key`` stands."""
        file, place, _ = self.spot(key)
        return Mark(file, *place)

    def value_mark(self, key: object) -> Mark:
        """Where the value of ``key`` stands."""
        file, _, place = self.spot(key)
        return Mark(file, *place)


class Seq(list[Any]):
    """A list that knows its file and the place of each item."""

    __slots__ = ("file", "place", "places")

    def __init__(self, file: str = "", place: Place = (1, 1)) -> None:
        super().__init__()
        self.file = file
        self.place = place
        self.places: list[Place] = []

    @property
    def mark(self) -> Mark:
        """Where the list begins."""
        return Mark(self.file, *self.place)

    def value_mark(self, index: int) -> Mark:
        """Where item ``index`` stands."""
        return Mark(self.file, *(self.places[index] if index < len(self.places) else self.place))


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a template.

    ``file`` is the name that users see; ``prefix`` the namespace that its importer gave it.
    """

    file: str
    root: Map
    origin: Literal["template", "import", "normative"] = "template"
    prefix: str = ""


def as_map(value: object) -> Map:
    """Return ``value`` where it is a mapping, else an empty one: its shape is reported elsewhere."""
    return value if isinstance(value, Map) else Map()


def as_seq(value: object) -> Seq:
    """Return ``value`` where it is a list, else an empty one: its shape is reported elsewhere."""
    return value if isinstance(value, Seq) else Seq()


def pairs(value: object) -> Iterator[tuple[str, Any, Map]]:
    """Yield name, value and holder of the entries of a list of one-entry mappings, TOSCA's ordered maps."""
    for item in value if isinstance(value, Seq) else ():
        if isinstance(item, Map):
            for name, content in item.items():
                yield str(name), content, item
