"""YAML text to values that remember their place.

Our own composer sits on the events of libyaml: it finds duplicate keys, refuses what could exhaust the
machine (nesting, aliases that expand without end), never recurses, and costs half of what a full
``yaml.load`` costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from im.errors import TemplateError
from im.topology.document import Float, Map, Place, Seq
from im.topology.findings import Findings
from im.topology.model import Finding, Mark

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 200_000
"""Values in one file with all aliases written out."""
_TOO_DEEP: Final = ("too-deep", f"more than {MAX_DEPTH} levels inside each other")


def parse(text: str, file: str) -> tuple[object, tuple[Finding, ...]]:
    """Return the value of the YAML ``text`` and what is wrong with it. Never raises; never runs for long."""
    findings = Findings()
    composer = _Composer(text, file, findings)
    try:
        value = composer.compose()
    except (_Stop, TemplateError):
        value = None
    except yaml.MarkedYAMLError as error:
        findings.error(_error_mark(error, file), *_verdict(error))
        value = None
    except (yaml.YAMLError, UnicodeError) as error:
        findings.error(Mark(file), "yaml", f"this is not YAML: {' '.join(str(error).split())}")
        value = None
    return value, findings.all


class _Stop(Exception):
    """Enough is wrong to read no further."""


def _error_mark(error: yaml.MarkedYAMLError, file: str) -> Mark:
    place = error.problem_mark or error.context_mark
    return Mark(file, place.line + 1, place.column + 1) if place else Mark(file)


def _verdict(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Return code and message. The libyaml of PyYAML 6.0.4 counts levels too, ahead of the events that we count."""
    if error.problem == "exceeded maximum nesting depth":
        return _TOO_DEEP
    said = " ".join(part for part in (error.problem, error.context) if part)
    return "yaml", f"this is not YAML: {said or 'it cannot be read'}"


class _Frame:
    """A mapping or list that is being filled."""

    __slots__ = ("anchor", "key", "key_place", "merges", "place", "size", "value", "waits")

    def __init__(self, value: Map | Seq, place: Place, anchor: str | None) -> None:
        self.value = value
        self.place = place
        self.anchor = anchor
        self.size = 1
        self.waits = False
        self.key: object = None
        self.key_place: Place = place
        self.merges: list[tuple[Map, Place]] = []


_MERGE: Final = object()
_BAD_KEY: Final = object()
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer:
    def __init__(self, text: str, file: str, findings: Findings) -> None:
        self._text = text
        self._file = file
        self._findings = findings
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._scalars: dict[str, object] = {}
        self._root: object = None
        self._documents = 0
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._mapping,
            SequenceStartEvent: self._sequence,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            AliasEvent: self._alias,
            DocumentStartEvent: self._document,
        }

    def compose(self) -> object:
        loader = _LOADER(self._text)
        handlers = self._handlers
        try:
            while True:
                event = loader.get_event()
                kind = type(event)
                if kind is StreamEndEvent:
                    return self._root
                handler = handlers.get(kind)
                if handler is not None:
                    handler(event)
        finally:
            loader.dispose()

    def _stop(self, place: Place, code: str, message: str, hint: str = "") -> _Stop:
        self._findings.error(Mark(self._file, *place), code, message, hint)
        return _Stop()

    def _document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self._stop(
                _place(event), "yaml", "the file holds more than one YAML document", "remove what follows '---'"
            )

    def _scalar(self, event: ScalarEvent) -> None:
        value: object = event.value
        if event.implicit[0]:
            try:
                value = self._scalars[event.value]
            except KeyError:
                value = self._scalars[event.value] = plain_value(event.value)
        elif event.tag is not None and not event.implicit[1]:
            value = self._tagged(event)
        place = _place(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        if value == "<<" and event.implicit[0] and self._expects_key():
            value = _MERGE
        self._add(value, place, 1)

    def _tagged(self, event: ScalarEvent) -> object:
        if event.tag == "tag:yaml.org,2002:str":
            return event.value
        if event.tag in _PLAIN_TAGS:
            return plain_value(event.value)
        raise self._stop(_place(event), "yaml", f"the tag {event.tag!r} has no meaning in TOSCA", "remove it")

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, Map) and not self._stack[-1].waits

    def _mapping(self, event: MappingStartEvent) -> None:
        place = self._open(event)
        self._stack.append(_Frame(Map(self._file, place), place, event.anchor))

    def _sequence(self, event: SequenceStartEvent) -> None:
        place = self._open(event)
        self._stack.append(_Frame(Seq(self._file, place), place, event.anchor))

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> Place:
        place = _place(event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(place, *_TOO_DEEP)
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            raise self._stop(place, "yaml", f"the tag {event.tag!r} has no meaning in TOSCA", "remove it")
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        return place

    def _end(self, _: Event) -> None:
        frame = self._stack.pop()
        if isinstance(frame.value, Map):
            for merged, _place_of in frame.merges:
                _merge(frame.value, merged)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, frame.size)
        self._add(frame.value, frame.place, frame.size)

    def _alias(self, event: AliasEvent) -> None:
        place = _place(event)
        if event.anchor not in self._anchors:
            inside = any(frame.anchor == event.anchor for frame in self._stack)
            message = f"the alias *{event.anchor} contains itself" if inside else f"there is no anchor &{event.anchor}"
            raise self._stop(place, "alias", message, "" if inside else self._known_anchors())
        value, size = self._anchors[event.anchor]
        self._add(value, place, size)

    def _known_anchors(self) -> str:
        return f"known: {', '.join(sorted(self._anchors)[:8])}" if self._anchors else "no anchor stands before it"

    def _add(self, value: object, place: Place, size: int) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.size += size
        if frame.size > MAX_VALUES:
            raise self._stop(place, "too-big", f"more than {MAX_VALUES:,} values when its aliases are written out")
        if isinstance(frame.value, Seq):
            frame.value.append(value)
            frame.value.places.append(place)
        elif frame.waits:
            frame.waits = False
            self._pair(frame, frame.value, value, place)
        else:
            frame.waits = True
            frame.key, frame.key_place = self._key(value, place), place

    def _key(self, value: object, place: Place) -> object:
        if isinstance(value, (Map, Seq)):
            self._findings.error(
                Mark(self._file, *place), "yaml", "a key must be one plain value", "quote it if it has braces"
            )
            return _BAD_KEY
        return value

    def _pair(self, frame: _Frame, target: Map, value: object, place: Place) -> None:
        key = frame.key
        if key is _BAD_KEY:
            return
        if key is _MERGE:
            self._remember_merge(frame, value, place)
        elif key in target:
            first = target.key_mark(key)
            message = f"the key '{key}' stands here twice"
            add = self._findings.warning if self._in_metadata() else self._findings.error
            add(Mark(self._file, *frame.key_place), "duplicate-key", message, f"first on line {first.line}")
            target.put(key, value, (self._file, frame.key_place, place))
        else:
            target.put(key, value, (self._file, frame.key_place, place))

    def _in_metadata(self) -> bool:
        """Tell whether a key is free text, where it does no harm twice; TOSCA's own conformance files have one."""
        return len(self._stack) == 2 and self._stack[0].key == "metadata"

    def _remember_merge(self, frame: _Frame, value: object, place: Place) -> None:
        merged = value if isinstance(value, Seq) else [value]
        for item in merged:
            if isinstance(item, Map):
                frame.merges.append((item, place))
            else:
                self._findings.error(Mark(self._file, *place), "yaml", "'<<' takes a mapping or a list of mappings")


def _merge(target: Map, source: Map) -> None:
    for key, value in source.items():
        if key not in target:
            target.put(key, value, source.spots[key])


def _place(event: Event) -> Place:
    mark = cast("yaml.Mark", event.start_mark)
    return (mark.line + 1, mark.column + 1)


_PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))
_COLLECTION_TAGS: Final = frozenset(("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!"))
_WORDS: Final[dict[str, object]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{style(word): True for word in ("yes", "true", "on") for style in (str.lower, str.title, str.upper)},
    **{style(word): False for word in ("no", "false", "off") for style in (str.lower, str.title, str.upper)},
}
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,30})")
_OTHER_INTEGER: Final = re.compile(r"([-+]?)0(x[0-9a-fA-F_]{1,30}|b[01_]{1,64}|o?[0-7_]{1,30})")
_FLOAT: Final = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)


def plain_value(text: str) -> object:
    """Return what an unquoted YAML scalar means: nothing, truth, a number, else the text itself (dates stay text)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return Float(text)
    return _other_integer(text)


def _other_integer(text: str) -> object:
    found = _OTHER_INTEGER.fullmatch(text)
    if found is None:
        return text
    digits = found[2].replace("_", "")
    base = {"x": 16, "b": 2}.get(digits[:1], 8)
    digits = digits.lstrip("xbo")
    return int(f"{found[1]}{digits}", base) if digits else text
