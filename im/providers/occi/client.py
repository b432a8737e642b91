"""Speaks OCCI with one site: discovery first, then collections at the places that the discovery named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar
from uuid import uuid4

from im.config import OcciSite
from im.errors import ProviderError
from im.providers.occi import occi_json, renderings, text
from im.providers.occi.dialects import DIALECTS, Dialect, find_dialect, with_media
from im.providers.occi.faults import Missing, fault
from im.providers.occi.model import COMPUTE, ID, SOURCE, TARGET, Attributes, Category, Link, Resource
from im.providers.occi.transport import Answer, Transport

S = TypeVar("S")
T = TypeVar("T")

DISCOVERY = ("-/", ".well-known/org/ogf/occi/-/")
ANY = f"{occi_json.MEDIA}, {text.PLAIN};q=0.8, {text.HEADERS};q=0.5"


@dataclass(frozen=True)
class Site:
    """What a site's discovery said: its categories by type, and its dialect."""

    categories: Mapping[str, Category]
    dialect: Dialect

    def has(self, name: str) -> bool:
        """Tell whether the site knows a type."""
        return name in self.categories

    def derived(self, base: str) -> tuple[Category, ...]:
        """Return the mixins that are derived from another, such as all templates."""
        return tuple(one for one in self.categories.values() if one.cls == "mixin" and base in one.rel)


class Client:
    """One site. Raises :class:`im.errors.ProviderError` and its children only."""

    def __init__(self, site: OcciSite, name: str) -> None:
        self._settings = site
        self._where = f"cloud {name}"
        self._transport = Transport(site, name)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._transport.requests

    # discovery

    @cached_property
    def site(self) -> Site:
        """What the site offers, asked for once."""
        return self.discover()

    def discover(self) -> Site:
        """Ask the site what it offers, now."""
        answer = self._discovery()
        found = renderings.read_categories(answer.media, answer.headers, answer.body)
        if not any(one.type == COMPUTE for one in found):
            hint = "is the endpoint right? Some sites have one per project"
            raise ProviderError("the site's discovery knows no compute resources", where=self._where, hint=hint)
        fixed = DIALECTS.get(self._settings.dialect)
        dialect = fixed or with_media(find_dialect(answer.header("Server"), found), answer.media)
        return Site({one.type: one for one in found}, dialect)

    def _discovery(self) -> Answer:
        try:
            return self._transport.request("GET", DISCOVERY[0], ANY)
        except Missing:
            return self._transport.request("GET", DISCOVERY[1], ANY)

    # resources

    def listing(self, kind: str) -> tuple[Resource, ...]:
        """Return what a kind's collection lists: whole resources, or no more than their titles or locations."""
        dialect = self.site.dialect
        answer = self._transport.request("GET", self._collection(kind), dialect.listing or dialect.read)
        return tuple(self._located(one, kind) for one in self._resources(answer))

    def titled(self, kind: str) -> tuple[Resource, ...]:
        """Return what a kind's collection lists, at least with titles; what came without one is shown."""
        listed = self.listing(kind)
        bare = [one.location for one in listed if not one.title]
        return (*(one for one in listed if one.title), *self.show_all(bare, kind))

    def show(self, location: str, kind: str) -> Resource | None:
        """Return a resource; None if it does not exist."""
        try:
            answer = self._transport.request("GET", location, self.site.dialect.read)
        except Missing:
            return None
        if not (found := self._resources(answer)):
            raise ProviderError("half a rendering: nothing where a resource was asked for", where=self._where)
        return self._located(replace(found[0], location=found[0].location or location), kind)

    def show_all(self, locations: Iterable[str], kind: str) -> tuple[Resource, ...]:
        """Return those of these resources that exist, asking for several at once."""
        found = self.parallel(lambda location: self.show(location, kind), list(locations))
        return tuple(one for one in found if one)

    def create(self, resource: Resource) -> Resource:
        """Request a new resource; of the answer no more than its id and location may be known."""
        dialect = self.site.dialect
        known = self._identified(self._known(resource)) if dialect.wants_ids else self._known(resource)
        rendered = renderings.write_resource(dialect.write, known)
        answer = self._transport.request("POST", self._collection(resource.kind), dialect.read, rendered)
        return self._located(self._created(answer), resource.kind)

    def update(self, location: str, resource: Resource) -> None:
        """Change a part of a resource, by the method that the site has for it; in headers, which all of them read."""
        dialect = self.site.dialect
        rendered = renderings.write_resource(text.HEADERS, self._known(resource))
        self._transport.request(dialect.resize, location, dialect.read, rendered)

    def act(self, location: str, action: str, attributes: Attributes | None = None) -> None:
        """Request an action. Raises :class:`im.providers.occi.faults.Conflict` if the resource's state forbids it."""
        dialect = self.site.dialect
        if not self.site.has(action):
            raise ProviderError(f"the site does not know the action {action}", where=self._where)
        rendered = renderings.write_action(dialect.write, action, attributes)
        term = action.rpartition("#")[2]
        self._transport.request("POST", f"{location}?action={term}", dialect.read, rendered)

    def delete(self, location: str) -> None:
        """Request the end of a resource; quiet if it does not exist."""
        try:
            self._transport.request("DELETE", location, self.site.dialect.read)
        except Missing:
            return

    def place(self, kind: str, id: str) -> str:  # noqa: A002
        """Return the location of a resource, given its id."""
        return f"{self._collection(kind).rstrip('/')}/{id}"

    def absolute(self, location: str) -> str:
        """Return the full location of something on the site. Raises :class:`im.errors.NotPermitted` elsewhere."""
        return self._transport.absolute(location)

    def location_of(self, link: Link) -> str:
        """Return the location of a link, which a rendering may leave to be made from its id."""
        return (
            self.absolute(link.location) if link.location else self.place(link.kind, str(link.attributes.get(ID, "")))
        )

    def parallel(self, call: Callable[[S], T], items: Sequence[S]) -> list[T]:
        """Make calls at once, as many as the site may get; returns in order, or raises the first error after all."""
        if len(items) < 2:
            return [call(item) for item in items]
        with ThreadPoolExecutor(min(self._settings.parallel, len(items)), "occi") as pool:
            return list(pool.map(call, items))

    # inside

    def _collection(self, kind: str) -> str:
        category = self.site.categories.get(kind)
        if category is None:
            raise ProviderError(f"the site has no {kind.rpartition('#')[2]} resources", where=self._where)
        return self._transport.absolute(category.location or f"{category.term}/")  # old ooi leaves the place out

    def _resources(self, answer: Answer) -> tuple[Resource, ...]:
        if answer.status == 204:
            return ()
        try:
            return renderings.read_resources(answer.media, answer.headers, answer.body)
        except ProviderError as error:
            raise ProviderError(error.message, where=self._where, hint=error.hint) from None

    def _created(self, answer: Answer) -> Resource:
        """The new resource: by its rendering, by its location in the body, or by the header ``Location``."""
        if location := answer.header("Location"):
            return Resource("", location)
        found = self._resources(answer)
        if len(found) != 1:
            raise fault(500, f"{len(found)} locations in the answer to a create", self._where)
        return found[0]

    def _located(self, resource: Resource, kind: str) -> Resource:
        """Fill in what a listing leaves out: the kind that was asked for, and the location from the id."""
        location = resource.location or self.place(kind, str(resource.attributes.get(ID, "")))
        return replace(resource, kind=resource.kind or kind, location=self._transport.absolute(location))

    def _identified(self, resource: Resource) -> Resource:
        """The resource and its links with ids that are new, which the site may replace."""
        id_ = str(uuid4())
        ends = {SOURCE: self.place(resource.kind, id_)}
        links = (
            replace(link, attributes={ID: str(uuid4()), **ends, TARGET: link.target, **link.attributes})
            for link in resource.links
        )
        return replace(resource, attributes={ID: id_, **resource.attributes}, links=tuple(links))

    def _known(self, resource: Resource) -> Resource:
        """The resource, if the site knows all its mixins. Raises :class:`im.errors.ProviderError` otherwise."""
        if unknown := [mixin for mixin in resource.mixins if not self.site.has(mixin)]:
            hint = "look at `im_client providers check`: images and sizes are mixins"
            raise ProviderError(f"the site does not know the mixin {unknown[0]}", where=self._where, hint=hint)
        return resource
