"""Where OCCI servers differ, as tables. A site's own dialect is one more of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from im.providers.occi import occi_json, text
from im.providers.occi.model import Category

MIB, GIB = 1 << 20, 1 << 30
Status = Literal["building", "active", "stopped", "error", "deleting"]


@dataclass(frozen=True, slots=True)
class Contextualization:
    """A mixin that takes user data or a public key, and the attribute that holds it. ``encoded``: in base64."""

    mixin: str
    attribute: str
    encoded: bool = False


OPENSTACK_USER_DATA = Contextualization(
    "http://schemas.openstack.org/compute/instance#user_data", "org.openstack.compute.user_data", encoded=True
)
OPENSTACK_PUBLIC_KEY = Contextualization(
    "http://schemas.openstack.org/instance/credentials#public_key", "org.openstack.credentials.publickey.data"
)
USER_DATA = Contextualization(
    "http://schemas.ogf.org/occi/infrastructure/compute#user_data", "occi.compute.userdata", encoded=True
)
SSH_KEY = Contextualization(
    "http://schemas.ogf.org/occi/infrastructure/credentials#ssh_key", "occi.credentials.ssh.publickey"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server.

    ``sign`` is a regular expression that finds it in the ``Server`` header, or in a category's type and place with a
    blank between them. ``read``, ``write`` and ``listing`` (where that is another): the media types that it
    understands best. ``wants_ids``: a request has an id for everything in it. ``memory_unit``: bytes of 1 in
    ``occi.compute.memory``. ``silent_building``: a server that is being built, or that failed, is shown as
    ``inactive`` too; ``failed`` and ``homeless`` are regular expressions for how such a site refuses to start one that
    failed, and one that has no host (yet, or because it failed).
    ``public_network``: where there are no ``ipreservation``, a link to it gives a public address.
    ``public_key``: send it always, or only where no user data is taken. ``resize`` is the HTTP method of a partial
    update. ``volume_device`` is where the node's kernel shows a volume, with ``{id}`` and what the link calls
    ``{device}``.
    """

    name: str
    sign: str = ""
    read: str = occi_json.MEDIA
    write: str = occi_json.MEDIA
    listing: str = ""
    wants_ids: bool = True
    memory_unit: int = GIB
    states: Mapping[str, Status] = field(
        default_factory=lambda: {
            "active": "active",
            "inactive": "stopped",
            "suspended": "stopped",
            "waiting": "building",
            "error": "error",
        }
    )
    silent_building: bool = False
    failed: str = ""
    homeless: str = ""
    user_data: tuple[Contextualization, ...] = (OPENSTACK_USER_DATA, USER_DATA)
    public_keys: tuple[Contextualization, ...] = (OPENSTACK_PUBLIC_KEY, SSH_KEY)
    public_key: Literal["always", "alone"] = "always"
    public_network: str = ""
    resize: Literal["POST", "PUT"] = "POST"
    volume_device: str = "{device}"


STANDARD = Dialect("standard")
"""OCCI 1.2 as it is written."""

OOI = Dialect(
    "ooi",
    sign=r"\booi/|^http://schemas\.openstack\.org/template/|/networklink/$",
    wants_ids=False,
    memory_unit=MIB,
    silent_building=True,
    failed=r"vm_state error",
    homeless=r"is not ready",
    public_key="alone",  # it makes a key pair of Nova for each server and deletes it again: two calls more
    public_network="PUBLIC",
    resize="PUT",
    volume_device="/dev/disk/by-id/virtio-{id:.20}",
)

ROCCI_1 = Dialect(
    "rocci-1",
    sign=r"rOCCI-server/1\.|/link/networkinterface/$",
    read=text.PLAIN,
    write=text.PLAIN,
    listing="text/uri-list",  # text/plain is not a listing's before 1.1
    wants_ids=False,
)

ROCCI_2 = Dialect(
    "rocci-2",
    sign=r"rOCCI-server/2\.|/networkinterface/$",
    user_data=(USER_DATA, OPENSTACK_USER_DATA),
    public_keys=(SSH_KEY, OPENSTACK_PUBLIC_KEY),
)

DIALECTS: Mapping[str, Dialect] = {one.name: one for one in (OOI, ROCCI_1, ROCCI_2, STANDARD)}
"""The first whose sign is found is a site's."""


def find_dialect(server: str, categories: Iterable[Category]) -> Dialect:
    """Return the dialect of a site by its ``Server`` header and its categories, else the standard."""
    said = [server, *(f"{one.type} {one.location}" for one in categories)]
    known = (one for one in DIALECTS.values() if one.sign and any(re.search(one.sign, each) for each in said))
    return next(known, STANDARD)


def with_media(dialect: Dialect, media: str) -> Dialect:
    """Return the dialect for a site that answered a discovery in another rendering than was asked for."""
    if dialect.read == occi_json.MEDIA and media in {text.PLAIN, text.HEADERS}:
        return replace(dialect, read=text.PLAIN, write=text.PLAIN)
    return dialect
