"""Documents and topologies as JSON data, for the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

from im.topology.document import Float, Map, Seq
from im.topology.model import Finding, Mark, Topology
from im.topology.types import SECTIONS

_SECTIONS: Final = frozenset(SECTIONS.values())
Parsed = tuple[object, tuple[Finding, ...]]


def encode_topology(topology: Topology) -> dict[str, Any]:
    """Return a topology as JSON data."""
    return asdict(topology)


def decode_topology(data: dict[str, Any]) -> Topology:
    """Return the topology that :func:`encode_topology` wrote."""
    result = decode_value(Topology, data)
    if not isinstance(result, Topology):
        raise TypeError("this is no topology")
    return result


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def decode_value(kind: Any, data: Any) -> Any:  # noqa: ANN401 - annotations and JSON
    """Return the value of a dataclass that :func:`dataclasses.asdict` made ``data`` of."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{field.name: decode_value(hints[field.name], data[field.name]) for field in fields(kind)})
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return tuple(decode_value(inner, item) for item in data)
    return data


def encode_document(root: Map, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Return a document as JSON data; each type is a text of its own, so that only those in use have to be read."""
    return {
        "root": list(_flat(root, _encode_section)),
        "findings": [
            [found.mark.line, found.mark.column, found.code, found.message, found.hint, found.severity]
            for found in findings
        ],
    }


def _encode_section(key: object, value: object) -> object:
    if key in _SECTIONS and isinstance(value, Map):
        return {"l": list(_flat(value, lambda _, item: json.dumps(_encode(item), separators=(",", ":"))))}
    return _encode(value)


def _encode(value: object) -> object:
    if isinstance(value, Map):
        return {"m": list(_flat(value, lambda _, item: _encode(item)))}
    if isinstance(value, Seq):
        return {"s": [value.place, value.places, [_encode(item) for item in value]]}
    return {"f": value.text} if isinstance(value, Float) else value


def _flat(mapping: Map, encode: Callable[[object, object], object]) -> Iterator[object]:
    yield mapping.place
    for key, value in mapping.items():
        _, key_place, value_place = mapping.spots[key]
        yield [_encode(key), key_place, value_place, encode(key, value)]


def decode_document(kept: dict[str, Any], file: str) -> Parsed:
    """Return the document that :func:`encode_document` wrote, now called ``file``."""
    findings = tuple(
        Finding(Mark(file, line, column), code, message, hint, severity)
        for line, column, code, message, hint, severity in kept["findings"]
    )
    return _decode_map(kept["root"], file, Map), findings


def _decode(value: Any, file: str) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        return value
    kind, content = next(iter(value.items()))
    if kind == "m":
        return _decode_map(content, file, Map)
    if kind == "l":
        return _decode_map(content, file, LazyMap)
    if kind == "f":
        return Float(content)
    place, places, items = content
    result = Seq(file, (place[0], place[1]))
    result.places = [(line, column) for line, column in places]
    result.extend(_decode(item, file) for item in items)
    return result


def _decode_map(content: list[Any], file: str, kind: type[Map]) -> Map:
    result = kind(file, (content[0][0], content[0][1]))
    for key, key_place, value_place, value in content[1:]:
        item = _Undecoded(value) if kind is LazyMap else _decode(value, file)
        result.put(_decode(key, file), item, (file, tuple(key_place), tuple(value_place)))
    return result


class _Undecoded(str):
    """The JSON text of an entry that nobody looked at yet."""

    __slots__ = ()


class LazyMap(Map):
    """A section of types whose entries are decoded when they are first looked at."""

    __slots__ = ()

    def __getitem__(self, key: object) -> Any:  # noqa: ANN401 - whatever a template holds
        """Return the entry, decoded."""
        value = super().__getitem__(key)
        if isinstance(value, _Undecoded):
            value = _decode(json.loads(value), self.file)
            super().__setitem__(key, value)
        return value

    def get(self, key: object, default: Any = None) -> Any:  # noqa: ANN401 - whatever a template holds
        """Return the entry, decoded, or ``default``."""
        try:
            return self[key]
        except KeyError:
            return default

    def items(self) -> Any:  # noqa: ANN401 - an iterator does for all who ask
        """Yield the entries, decoded."""
        return ((key, self[key]) for key in self)

    def values(self) -> Any:  # noqa: ANN401 - an iterator does for all who ask
        """Yield the decoded entries."""
        return (self[key] for key in self)
