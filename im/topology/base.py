"""Base templates: a template that another one is written over, as the community for IM composes them."""

from __future__ import annotations

from typing import Any, Final

from im.topology.document import Map, Seq, as_map

_JOINED: Final = frozenset(("requirements", "policies"))
"""Lists whose items are added to those of the base; other lists are values, and replace them."""
_OWN: Final = ("imports", "tosca_definitions_version")
MAX_DEPTH: Final = 40


def over(base: Map, template: Map) -> Map:
    """Return ``base`` with everything that ``template`` says laid over it, key by key."""
    result = _joined(base, template, 0)
    for key in _OWN:
        result.pop(key, None)
        if key in template:
            result.put(key, template[key], template.spot(key))
    return _version_first(result)


def _version_first(merged: Map) -> Map:
    result = Map(merged.file, merged.place)
    for key in sorted(merged, key=lambda one: one != "tosca_definitions_version"):
        result.put(key, merged[key], merged.spot(key))
    return result


def _joined(base: Map, own: Map, depth: int) -> Map:
    result = Map(own.file, own.place)
    for key, value in base.items():
        result.put(key, value, base.spot(key))
    for key, value in own.items():
        result.put(key, _value(key, result.get(key), value, depth), own.spot(key))
    return result


def _value(key: object, below: Any, own: Any, depth: int) -> Any:  # noqa: ANN401 - whatever a template holds
    if own is None:
        return below
    if isinstance(below, Map) and isinstance(own, Map) and depth < MAX_DEPTH and not _another_kind(below, own):
        return _joined(below, own, depth + 1)
    if key in _JOINED and isinstance(below, Seq) and isinstance(own, Seq):
        return _added(below, own)
    return own


def _another_kind(below: Map, own: Map) -> bool:
    """Tell whether a node is replaced by one of another type, or a function by another one: nothing of it fits then."""
    functions = len(below) == len(own) == 1 and set(below) != set(own) and "get_" in f"{next(iter(own))}"
    return functions or ("type" in own and "type" in below and own["type"] != below["type"])


def _added(below: Seq, own: Seq) -> Seq:
    """Return the items of both; one with the name of an item of the base takes its place."""
    names = {name for item in own for name in as_map(item)}
    result = Seq(own.file, own.place)
    for source in (below, own):
        for index, item in enumerate(source):
            if source is own or not names & set(as_map(item)):
                result.append(item)
                mark = source.value_mark(index)
                result.places.append((mark.line, mark.column))
    return result
