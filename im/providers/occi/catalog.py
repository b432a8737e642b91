"""What a site's templates mean as images and flavors. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from im.plan.model import Catalog, CloudNetwork, Flavor, Image
from im.providers.occi.client import Site
from im.providers.occi.dialects import GIB, MIB, Dialect
from im.providers.occi.model import OS_TEMPLATE, RESOURCE_TEMPLATE, Attributes, Category, Value

CORES, MEMORY = "occi.compute.cores", "occi.compute.memory"
DISKS = ("org.openstack.flavor.disk", "occi.compute.ephemeral_storage.size")
_DISTRIBUTION = re.compile(
    r"\b(debian|ubuntu|centos|almalinux|rocky|fedora|opensuse|scientific)\b[\s/_a-z-]*(\d+(?:\.\d+)*)?", re.IGNORECASE
)
_SIZE = re.compile(r"(\d+)\s*(?:v?cpus?|cores?)\b.*?(\d+(?:\.\d+)?)\s*(GB|GiB|MB|MiB)\b", re.IGNORECASE)


def catalog_of(site: Site, sizes: Mapping[str, tuple[int, float]], networks: tuple[CloudNetwork, ...]) -> Catalog:
    """Return the catalog of a site; one without resource templates takes cores and memory as they are."""
    templates = site.derived(RESOURCE_TEMPLATE)
    flavors = (flavor_of(one, site.dialect, sizes) for one in templates)
    return Catalog(
        images=tuple(image_of(one) for one in site.derived(OS_TEMPLATE)),
        flavors=tuple(one for one in flavors if one),
        any_size=not templates,
        networks=networks,
    )


def image_of(template: Category) -> Image:
    """Return an os_tpl as an image; its title is all that tells what is in it."""
    title = template.title or template.term
    found = _DISTRIBUTION.search(title.replace("_", " "))
    distribution = found[1].lower() if found else ""
    return Image(id=template.type, name=title, distribution=distribution, version=(found and found[2]) or "")


def flavor_of(template: Category, dialect: Dialect, sizes: Mapping[str, tuple[int, float]]) -> Flavor | None:
    """Return a resource_tpl as a flavor; None where neither the site nor the settings tell its size."""
    name = re.sub(r"^Flavor:\s*", "", template.title) or template.term
    given = sizes.get(template.term) or sizes.get(name)
    cores = given[0] if given else number(template.attributes.get(CORES))
    memory = given[1] * GIB if given else number(template.attributes.get(MEMORY)) * unit_of(template, dialect)
    if not (cores and memory) and (said := _SIZE.search(template.title)):
        cores, memory = int(said[1]), float(said[2]) * (GIB if said[3][0] in "gG" else MIB)
    if not cores:
        return None
    disk = next((size for key in DISKS if (size := number(template.attributes.get(key)))), 0)
    return Flavor(template.type, name, int(cores), int(memory), int(disk * GIB))


def memory_of(attributes: Attributes, dialect: Dialect) -> int:
    """Return the memory of a server in bytes."""
    return int(number(attributes.get(MEMORY)) * dialect.memory_unit)


def unit_of(template: Category, dialect: Dialect) -> int:
    """Return the unit of a template's memory. A number below 128 is GB on every server: no template is that small."""
    return GIB if number(template.attributes.get(MEMORY)) < 128 else dialect.memory_unit


def number(value: Value | None) -> float:
    """Return a value as a number; 0 where it is none."""
    try:
        return max(float(value or 0), 0.0)
    except (TypeError, ValueError):
        return 0.0
