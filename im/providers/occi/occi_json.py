"""application/occi+json, in and out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from im.errors import ProviderError
from im.providers.occi.grammar import checked, checked_name, checked_type
from im.providers.occi.model import (
    ID,
    SOURCE,
    SUMMARY,
    TARGET,
    TITLE,
    Attributes,
    Category,
    CategoryClass,
    Link,
    Rendered,
    Resource,
    Value,
)

MEDIA = "application/occi+json"

_Object = Mapping[str, Any]


# reading


def read_categories(body: str) -> tuple[Category, ...]:
    """Return the categories of a discovery. Raises :class:`im.errors.ProviderError` if it is none."""
    document = _object(_loaded(body))
    classes: tuple[tuple[str, CategoryClass], ...] = (("kinds", "kind"), ("mixins", "mixin"), ("actions", "action"))
    return tuple(_category(_object(one), cls) for key, cls in classes for one in _list(document.get(key)))


def read_resources(body: str) -> tuple[Resource, ...]:
    """Return the resources, or the links that stand alone, of an answer."""
    document = _loaded(body)
    return tuple(Resource("", one) if isinstance(one, str) else _resource(_object(one)) for one in _entities(document))


def _entities(document: Any) -> Sequence[Any]:  # noqa: ANN401
    if isinstance(document, list):  # rOCCI-server 2 lists locations like this
        return document
    if "resources" in _object(document) or ("links" in document and "kind" not in document):
        return [*_list(document.get("resources")), *_list(document.get("links"))]
    return [document] if document else []


def _category(said: _Object, cls: CategoryClass) -> Category:
    parent = said.get("parent")
    rel = (*([parent] if parent else []), *_types(said.get("related")), *_types(said.get("depends")))
    return Category(
        scheme=_text(said, "scheme"),
        term=_text(said, "term"),
        cls=cls,
        title=str(said.get("title") or ""),
        rel=tuple(dict.fromkeys(map(str, rel))),
        location=str(said.get("location") or ""),
        attributes=dict(_definitions("", _object(said.get("attributes") or {}))),
        actions=_types(said.get("actions")),
    )


def _resource(said: _Object) -> Resource:
    kind = _text(said, "kind")
    attributes = dict(_attributes(said))
    for key, name in (("id", ID), ("title", TITLE), ("summary", SUMMARY)):
        if said.get(key) is not None:
            attributes.setdefault(name, str(said[key]))
    for key, name in (("source", SOURCE), ("target", TARGET)):
        if location := _location(said.get(key))[0]:
            attributes.setdefault(name, location)
    return Resource(
        kind=kind,
        location=str(said.get("location") or ""),
        mixins=_types(said.get("mixins")),
        attributes=attributes,
        actions=_types(said.get("actions")),
        links=tuple(_link(one) for one in _list(said.get("links"))),
    )


def _link(one: object) -> Link:
    """A link; rOCCI-server 1 tells only where it is."""
    if isinstance(one, str):
        return Link("", "", location=one)
    said = _object(one)
    target, target_kind = _location(said.get("target"))
    attributes = dict(_attributes(said))
    if said.get("id") is not None:
        attributes.setdefault(ID, str(said["id"]))
    return Link(
        target=target or str(attributes.get(TARGET, "")),
        target_kind=target_kind,
        location=str(said.get("location") or ""),
        kind=str(said.get("kind") or ""),
        mixins=_types(said.get("mixins")),
        attributes=attributes,
    )


def _types(names: object) -> tuple[str, ...]:
    """Names of types; older servers write some as objects of scheme and term."""
    return tuple(
        _text(one, "scheme") + _text(one, "term") if isinstance(one, dict) else str(one) for one in _list(names)
    )


def _location(end: object) -> tuple[str, str]:
    """Location and kind of a link's end, which is an object by the standard and a bare location on older servers."""
    if isinstance(end, dict):
        return str(end.get("location") or ""), str(end.get("kind") or "")
    return str(end or ""), ""


def _attributes(said: _Object) -> Iterator[tuple[str, Value]]:
    """Attributes by their full names; older servers nest them by its parts."""
    yield from _flat("", _object(said.get("attributes") or {}))


def _flat(prefix: str, said: _Object) -> Iterator[tuple[str, Value]]:
    for name, value in said.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        elif isinstance(value, str | int | float | bool):
            yield f"{prefix}{name}", value


def _definitions(prefix: str, said: _Object) -> Iterator[tuple[str, Value | None]]:
    """Attributes with their defaults, by their full names; older servers nest these too."""
    for name, what in said.items():
        if isinstance(what, dict) and what and all(isinstance(inner, dict) for inner in what.values()):
            yield from _definitions(f"{prefix}{name}.", what)
        else:
            value = what.get("default") if isinstance(what, dict) else None
            yield f"{prefix}{name}", value if isinstance(value, str | int | float | bool) else None


def _loaded(body: str) -> Any:  # noqa: ANN401
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"half a rendering: its JSON cannot be read ({error})") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _object(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ProviderError(f"half a rendering: an object was expected where {type(value).__name__} stands")
    return value


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProviderError(f"half a rendering: a list was expected where {type(value).__name__} stands")
    return value


def _text(said: _Object, key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str) or not value:
        raise ProviderError(f"half a rendering: an entry without {key}")
    return value


# writing


def write_resource(resource: Resource) -> Rendered:
    """Render a request to make or change a resource. Raises :class:`im.errors.InputError` for what is unsafe."""
    document: dict[str, object] = {"kind": checked_type(resource.kind)} if resource.kind else {}
    if resource.mixins:
        document["mixins"] = [checked_type(mixin) for mixin in resource.mixins]
    document["attributes"] = attributes = _written(resource.attributes)
    if resource.links:
        document["links"] = [_written_link(link) for link in resource.links]
    return _rendered(document | _said_twice(attributes))


def write_action(action: str, attributes: Attributes) -> Rendered:
    """Render a request to act on a resource."""
    document: dict[str, object] = {"action": checked_type(action)}
    if written := _written(attributes):
        document["attributes"] = written
    return _rendered(document)


def _written(attributes: Attributes) -> dict[str, Value]:
    return {
        checked_name(name): checked(value) if isinstance(value, str) else value for name, value in attributes.items()
    }


def _said_twice(attributes: Attributes) -> dict[str, object]:
    """What the standard wants beside the attributes too: the id, and both ends of a link."""
    ends = {"source": attributes.get(SOURCE), "target": attributes.get(TARGET)}
    written: dict[str, object] = {end: {"location": location} for end, location in ends.items() if location}
    return written | ({"id": attributes[ID]} if ID in attributes else {})


def _written_link(link: Link) -> dict[str, object]:
    attributes = _written(link.attributes)
    written = _said_twice(attributes)
    written["target"] = {"location": checked(link.target), "kind": checked_type(link.target_kind)}
    if link.kind:
        written["kind"] = checked_type(link.kind)
    if link.mixins:
        written["mixins"] = [checked_type(mixin) for mixin in link.mixins]
    if link.location:
        written["location"] = checked(link.location)
    return written | {"attributes": attributes}


def _rendered(document: Mapping[str, object]) -> Rendered:
    return Rendered({"Content-Type": MEDIA}, json.dumps(document).encode())
