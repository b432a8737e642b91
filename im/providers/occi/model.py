"""What OCCI talks about: categories, resources and their links. A type is named ``scheme#term`` throughout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

INFRASTRUCTURE = "http://schemas.ogf.org/occi/infrastructure"
COMPUTE = f"{INFRASTRUCTURE}#compute"
NETWORK = f"{INFRASTRUCTURE}#network"
STORAGE = f"{INFRASTRUCTURE}#storage"
IP_RESERVATION = f"{INFRASTRUCTURE}#ipreservation"
NETWORK_INTERFACE = f"{INFRASTRUCTURE}#networkinterface"
STORAGE_LINK = f"{INFRASTRUCTURE}#storagelink"
IP_NETWORK = f"{INFRASTRUCTURE}/network#ipnetwork"
OS_TEMPLATE = f"{INFRASTRUCTURE}#os_tpl"
RESOURCE_TEMPLATE = f"{INFRASTRUCTURE}#resource_tpl"
COMPUTE_ACTION = f"{INFRASTRUCTURE}/compute/action#"

ID = "occi.core.id"
TITLE = "occi.core.title"
SUMMARY = "occi.core.summary"
SOURCE = "occi.core.source"
TARGET = "occi.core.target"

Value = str | int | float | bool
Attributes = Mapping[str, Value]
CategoryClass = Literal["kind", "mixin", "action"]


@dataclass(frozen=True, slots=True)
class Category:
    """A kind, mixin or action that a site knows. ``attributes`` are names with their defaults (None: no default).

    ``rel`` are the types it is derived from, or that it depends on; a template is a mixin of ``os_tpl``.
    """

    scheme: str
    term: str
    cls: CategoryClass
    title: str = ""
    rel: tuple[str, ...] = ()
    location: str = ""
    attributes: Mapping[str, Value | None] = field(default_factory=dict)
    actions: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Its name: scheme and term."""
        return self.scheme + self.term


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it shows in a resource: ``target`` is where it leads, ``location`` is the link itself."""

    target: str
    target_kind: str
    location: str = ""
    kind: str = ""
    mixins: tuple[str, ...] = ()
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource, or a link that stands alone (then source and target are among its attributes).

    Listings may give no more than the ``location``; ``kind`` is "" then.
    """

    kind: str
    location: str = ""
    mixins: tuple[str, ...] = ()
    attributes: Attributes = field(default_factory=dict)
    actions: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def id(self) -> str:
        """Its name within its collection: what the server calls it, else the last part of its location."""
        return str(self.attributes.get(ID) or "") or self.location.rstrip("/").rpartition("/")[2]

    @property
    def title(self) -> str:
        """Its title; "" where the listing does not tell."""
        return str(self.attributes.get(TITLE, ""))


@dataclass(frozen=True, slots=True)
class Rendered:
    """A request's headers and body, ready to be sent."""

    headers: Mapping[str, str]
    body: bytes = b""


def split_type(name: str) -> tuple[str, str]:
    """Return scheme (with its ``#``) and term of a type."""
    scheme, mark, term = name.rpartition("#")
    return scheme + mark, term
