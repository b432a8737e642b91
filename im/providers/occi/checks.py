"""The lines of ``im_client providers check`` for an OCCI site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from im.errors import ImError
from im.plan.model import Catalog, CloudNetwork
from im.providers.base import Check
from im.providers.occi.catalog import catalog_of
from im.providers.occi.client import Client, Site
from im.providers.occi.model import IP_RESERVATION, RESOURCE_TEMPLATE, STORAGE


def checks_of(
    client: Client, sizes: Mapping[str, tuple[int, float]], networks: Callable[[], tuple[CloudNetwork, ...]]
) -> Iterator[Check]:
    """Yield what can be seen of a site; stops where nothing more can be."""
    try:
        site = client.discover()
    except ImError as error:
        yield Check("discovery", "failed", error.message, error.hint or "is the endpoint right?")
        return
    yield Check("discovery", "ok", f"{len(site.categories)} categories, dialect {site.dialect.name}")
    catalog = catalog_of(site, sizes, ())
    yield _images(catalog)
    yield _sizes(site, catalog)
    yield _user_data(site)
    yield _networks(networks)
    yield _public(site)
    if not site.has(STORAGE):
        yield Check("volumes", "warning", "the site has none", "leave volumes out of the template")


def _images(catalog: Catalog) -> Check:
    if catalog.images:
        return Check("images", "ok", f"{len(catalog.images)} os_tpl")
    return Check("images", "failed", "no os_tpl: nothing to start from", "ask the site for images, or for your VO's")


def _sizes(site: Site, catalog: Catalog) -> Check:
    offered = len(site.derived(RESOURCE_TEMPLATE))
    if catalog.any_size:
        return Check("sizes", "ok", "any: cores and memory are taken as they are asked for")
    if len(catalog.flavors) == offered:
        return Check("sizes", "ok", f"{offered} resource_tpl")
    unknown = offered - len(catalog.flavors)
    hint = "write `sizes = { TERM = [CORES, GIB] }` into the site's settings"
    return Check("sizes", "warning", f"{unknown} of {offered} resource_tpl do not tell their size", hint)


def _user_data(site: Site) -> Check:
    if way := next((one for one in site.dialect.user_data if site.has(one.mixin)), None):
        return Check("user data", "ok", way.mixin)
    hint = "the first connection cannot be verified; ask the site for the mixin user_data"
    return Check("user data", "failed", "the site takes none", hint)


def _networks(networks: Callable[[], tuple[CloudNetwork, ...]]) -> Check:
    try:
        names = [one.name for one in networks() if not one.external]
    except ImError as error:
        return Check("networks", "warning", error.message, error.hint or "the site's administrators may know why")
    if len(names) < 2:
        return Check("networks", "ok", ", ".join(names) or "the site chooses")
    return Check("networks", "ok", f"{', '.join(names)}; `network` of the site says which one servers are on")


def _public(site: Site) -> Check:
    if site.has(IP_RESERVATION):
        return Check("public addresses", "ok", "by ipreservation")
    if site.dialect.public_network:
        return Check("public addresses", "ok", f"by network {site.dialect.public_network}")
    return Check("public addresses", "ok", "those of the site's networks, where they have some")
