"""Copies of documents with something else in some places; every place is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from im.topology.document import Map, Seq
from im.topology.syntax import call, is_function

Change = Callable[[str, list[Any]], tuple[bool, object]]
"""Returns whether a function call (its name and arguments) is known, and what stands for it."""


def changed(holder: Map, key: str, value: object) -> Map:
    """Return a copy of ``holder`` with another value for ``key``."""
    result = Map(holder.file, holder.place)
    for name, content in holder.items():
        result.put(name, content, holder.spot(name))
    result.put(key, value, holder.spot(key))
    return result


def copied(value: Seq, items: list[object]) -> Seq:
    """Return a list at the place of ``value`` with other items."""
    result = Seq(value.file, value.place)
    result.places = list(value.places)
    result.extend(items)
    return result


def rewritten(value: Any, change: Change) -> Any:  # noqa: ANN401 - whatever a template holds
    """Return a copy with every function call that ``change`` knows replaced by what it says."""
    if is_function(value):
        name, arguments = call(value)
        known, result = change(name, [rewritten(argument, change) for argument in arguments])
        if known:
            return _marked(result, value)
    if isinstance(value, Map):
        copy = Map(value.file, value.place)
        for key, item in value.items():
            copy.put(key, rewritten(item, change), value.spot(key))
        return copy
    if isinstance(value, Seq):
        return copied(value, [rewritten(item, change) for item in value])
    return value


def _marked(result: object, origin: object) -> object:
    """Return a new function call at the place of the one that it replaces."""
    if isinstance(result, dict) and not isinstance(result, Map) and isinstance(origin, Map):
        copy = Map(origin.file, origin.place)
        for key, item in result.items():
            arguments = Seq(origin.file, origin.place)
            arguments.extend(item)
            copy.put(key, arguments)
        return copy
    return result
