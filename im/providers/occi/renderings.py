"""An answer or a request in the rendering that its media type names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from im.errors import ProviderError
from im.providers.occi import occi_json, text
from im.providers.occi.grammar import shorten
from im.providers.occi.model import Attributes, Category, Rendered, Resource

URI_LIST = "text/uri-list"
READABLE = (occi_json.MEDIA, "application/json", text.PLAIN, text.HEADERS, URI_LIST)


def read_categories(media: str, headers: Sequence[tuple[str, str]], body: str) -> tuple[Category, ...]:
    """Return the categories of a discovery. Raises :class:`im.errors.ProviderError` for what is no OCCI."""
    if _is_json(media):
        return occi_json.read_categories(body)
    return text.read_categories(_fields(media, headers, body))


def read_resources(media: str, headers: Sequence[tuple[str, str]], body: str) -> tuple[Resource, ...]:
    """Return the resources of an answer. Raises :class:`im.errors.ProviderError` for what is no OCCI."""
    if _is_json(media):
        return occi_json.read_resources(body)
    if media == URI_LIST:
        lines = (line.strip() for line in body.splitlines())
        return tuple(Resource("", line) for line in lines if line and not line.startswith("#"))
    return text.read_resources(_fields(media, headers, body))


def write_resource(media: str, resource: Resource) -> Rendered:
    """Render a request to make or change a resource. Raises :class:`im.errors.InputError` for what is unsafe."""
    return occi_json.write_resource(resource) if _is_json(media) else text.write_resource(resource, media)


def write_action(media: str, action: str, attributes: Attributes | None = None) -> Rendered:
    """Render a request to act on a resource."""
    said: Mapping[str, str | int | float | bool] = attributes or {}
    return occi_json.write_action(action, said) if _is_json(media) else text.write_action(action, said, media)


def _is_json(media: str) -> bool:
    return media in {occi_json.MEDIA, "application/json"}


def _fields(media: str, headers: Sequence[tuple[str, str]], body: str) -> text.Fields:
    if media == text.HEADERS:
        return text.fields_of_headers(headers)
    if media != text.PLAIN or body.lstrip().startswith("<"):
        hint = "is the endpoint right? Look at it with a browser"
        raise ProviderError(f"the answer is {media or 'nothing'}, not OCCI: {shorten(body.strip())}", hint=hint)
    return text.fields_of_body(body)
