"""What is sent to make a server: templates or sizes, our mark, and who it is by mixins that the site honours. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from im.errors import InputError
from im.plan.model import NodeSpec
from im.providers.cloud_init import user_data
from im.providers.occi.catalog import CORES, MEMORY
from im.providers.occi.client import Site
from im.providers.occi.dialects import Contextualization
from im.providers.occi.marks import ServerMark
from im.providers.occi.model import COMPUTE, NETWORK, NETWORK_INTERFACE, TITLE, Link, Resource, Value

HOSTNAME = "occi.compute.hostname"


def compute_of(spec: NodeSpec, site: Site, networks: Sequence[str]) -> Resource:
    """Return the request for a server on these networks. Raises :class:`im.errors.InputError` for what OCCI cannot."""
    mixins = [spec.image, *([spec.flavor] if spec.flavor else [])]
    attributes: dict[str, Value] = {TITLE: str(ServerMark.of(spec)), HOSTNAME: spec.name}
    if not spec.flavor:
        attributes[CORES] = spec.cpus
        attributes[MEMORY] = round(spec.memory / site.dialect.memory_unit, 3)
    for way, content in _contextualization(spec, site):
        mixins.append(way.mixin)
        attributes[way.attribute] = base64.b64encode(content.encode()).decode() if way.encoded else content
    links = tuple(Link(location, NETWORK, kind=NETWORK_INTERFACE) for location in networks)
    return Resource(COMPUTE, mixins=tuple(mixins), attributes=attributes, links=links)


def _contextualization(spec: NodeSpec, site: Site) -> list[tuple[Contextualization, str]]:
    """The mixins that tell a server who it is, each with what it says."""
    if spec.identity is None:
        return []
    dialect = site.dialect
    data = next((way for way in dialect.user_data if site.has(way.mixin)), None)
    key = next((way for way in dialect.public_keys if site.has(way.mixin)), None)
    said = [(data, user_data(spec.identity, spec.user_data))] if data else []
    if key and spec.identity.authorized_keys and (dialect.public_key == "always" or not data):
        said.append((key, spec.identity.authorized_keys[0].strip()))
    if not said:
        hint = "another site, or ask its administrators for the mixin user_data"
        raise InputError("the site takes neither user data nor a public key: nobody could log in", hint=hint)
    return said
