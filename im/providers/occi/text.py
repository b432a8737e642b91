"""text/plain and text/occi: the same fields, as lines of a body or as headers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from im.errors import ProviderError
from im.providers.occi.grammar import (
    checked,
    checked_name,
    checked_type,
    pairs,
    read_string,
    read_value,
    shorten,
    split,
    write_string,
    write_value,
)
from im.providers.occi.model import SOURCE, TARGET, Attributes, Category, Link, Rendered, Resource, Value, split_type

PLAIN = "text/plain"
HEADERS = "text/occi"

Fields = Sequence[tuple[str, str]]
"""Names (in lower case) and contents of the fields of a rendering, in order."""

CATEGORY, ATTRIBUTE, LINK, LOCATION = "category", "x-occi-attribute", "link", "x-occi-location"
_KNOWN = {CATEGORY, ATTRIBUTE, LINK, LOCATION}
_WRITTEN = {CATEGORY: "Category", ATTRIBUTE: "X-OCCI-Attribute", LINK: "Link", LOCATION: "X-OCCI-Location"}


# reading


def fields_of_body(body: str) -> Fields:
    """Return the fields of a text/plain body. Raises :class:`im.errors.ProviderError` for a line that is none."""
    fields = []
    for line in body.splitlines():
        name, colon, content = line.partition(":")
        if line.strip() and (not colon or name.strip().lower() not in _KNOWN):
            raise ProviderError(f"half a rendering: {shorten(line)} is not a line of OCCI")
        if colon:
            fields.append((name.strip().lower(), content.strip()))
    return fields


def fields_of_headers(headers: Iterable[tuple[str, str]]) -> Fields:
    """Return the OCCI fields among the headers of an answer."""
    return [(name.lower(), content) for name, content in headers if name.lower() in _KNOWN]


def read_categories(fields: Fields) -> tuple[Category, ...]:
    """Return the categories of a discovery, or of a rendering."""
    return tuple(_category(item) for item in _items(fields, CATEGORY))


def read_resources(fields: Fields) -> tuple[Resource, ...]:
    """Return the resource that was rendered, or one for each location."""
    if locations := tuple(_items(fields, LOCATION)):
        return tuple(Resource("", location.strip("<>")) for location in locations)
    kinds = [one for one in read_categories(fields) if one.cls == "kind"]
    if not kinds:
        return ()
    return (_resource(kinds[0], fields),)


def _items(fields: Fields, name: str) -> Iterable[str]:
    """The contents of all fields of one name; a header may hold several, with commas between them."""
    return (item for field, content in fields if field == name for item in split(content, ","))


def _category(item: str) -> Category:
    term, *rest = split(item, ";") or [""]
    said = {name: read_string(value) for name, value in pairs(rest)}
    cls = said.get("class", "")
    if "scheme" not in said or cls not in {"kind", "mixin", "action"}:
        raise ProviderError(f"half a rendering: no scheme or class in category {shorten(item)}")
    return Category(
        scheme=said["scheme"],
        term=read_string(term),
        cls=cls,  # type: ignore[arg-type]  # one of the three, as checked above
        title=said.get("title", ""),
        rel=tuple(said.get("rel", "").split()),
        location=said.get("location", ""),
        attributes={name.partition("{")[0]: None for name in said.get("attributes", "").split()},
        actions=tuple(said.get("actions", "").split()),
    )


def _resource(kind: Category, fields: Fields) -> Resource:
    mixins = tuple(one.type for one in read_categories(fields) if one.cls == "mixin")
    attributes = {name: read_value(value) for name, value in pairs(list(_items(fields, ATTRIBUTE)))}
    actions, links = [], []
    for item in _items(fields, LINK):
        target, *rest = split(item, ";") or [""]
        said = dict(pairs(rest))
        if "?action=" in target:
            actions.append(read_string(said.get("rel", "")))
        else:
            links.append(_link(target.strip("<>"), said))
    return Resource(kind.type, "", mixins, attributes, tuple(actions), tuple(links))


def _link(target: str, said: dict[str, str]) -> Link:
    kind, *mixins = read_string(said.pop("category", "")).split() or [""]
    rel, location = read_string(said.pop("rel", "")), read_string(said.pop("self", ""))
    attributes = {name: read_value(value) for name, value in said.items()}
    real = str(attributes.get(TARGET, target))  # ooi writes the link itself where the target should stand
    return Link(real, rel, location, kind, tuple(mixins), attributes)


# writing


def write_resource(resource: Resource, media: str) -> Rendered:
    """Render a request to make or change a resource. Raises :class:`im.errors.InputError` for what is unsafe."""
    fields = [_category_field(resource.kind, "kind")] if resource.kind else []
    fields += [_category_field(mixin, "mixin") for mixin in resource.mixins]
    fields += _attribute_fields(resource.attributes)
    fields += [(LINK, _written_link(link)) for link in resource.links]
    return _rendered(fields, media)


def write_action(action: str, attributes: Attributes, media: str) -> Rendered:
    """Render a request to act on a resource."""
    return _rendered([_category_field(action, "action"), *_attribute_fields(attributes)], media)


def _category_field(name: str, cls: str) -> tuple[str, str]:
    scheme, term = split_type(checked_type(name))
    return CATEGORY, f"{term}; scheme={write_string(scheme)}; class={write_string(cls)}"


def _attribute_fields(attributes: Attributes) -> list[tuple[str, str]]:
    return [(ATTRIBUTE, f"{checked_name(name)}={write_value(value)}") for name, value in attributes.items()]


def _written_link(link: Link) -> str:
    said: dict[str, Value] = {"rel": checked_type(link.target_kind)}
    if link.location:
        said["self"] = link.location
    if types := " ".join(checked_type(name) for name in (link.kind, *link.mixins) if name):
        said["category"] = types
    said |= {TARGET: link.target, **{name: value for name, value in link.attributes.items() if name != SOURCE}}
    return "; ".join(
        (f"<{_uri(link.target)}>", *(f"{checked_name(name)}={write_value(value)}" for name, value in said.items()))
    )


def _uri(uri: str) -> str:
    return checked(uri).replace("<", "%3C").replace(">", "%3E")


def _rendered(fields: Fields, media: str) -> Rendered:
    if media == PLAIN:
        lines = "".join(f"{_WRITTEN[name]}: {content}\n" for name, content in fields)
        return Rendered({"Content-Type": PLAIN}, lines.encode())
    names = dict.fromkeys(name for name, _ in fields)
    joined = {name: ", ".join(content for field, content in fields if field == name) for name in names}
    return Rendered({"Content-Type": HEADERS, **{_WRITTEN[name]: content for name, content in joined.items()}})
