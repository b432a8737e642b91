"""Whether a cloud can be used, line by line, and what to ask the site for where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from im.errors import ImError
from im.plan.model import Catalog, CloudNetwork, Room
from im.providers.base import Check
from im.providers.openstack.api import Api, Together
from im.providers.openstack.offers import Offers
from im.providers.openstack.readings import GIB
from im.providers.openstack.session import Login

SERVICES = {
    "compute": "/limits",
    "network": "/networks?fields=id&limit=1",
    "image": "/images?limit=1",
    "block-storage": "/limits",
}
OPTIONAL = "block-storage"
ASKS = {
    "servers": "servers",
    "cpus": "CPUs",
    "memory": "GiB of memory",
    "networks": "networks",
    "routers": "routers",
    "security-groups": "security groups",
    "ports": "ports",
    "public-addresses": "floating IPs",
}
NEEDED = ("servers", "cpus", "memory", "ports", "security-groups")
"""Without these no sub-cluster can be made; of the others an existing one may do."""


def look_around(api: Api, login: Login, offers: Offers) -> tuple[Check, ...]:
    """Return one line for each thing that a sub-cluster needs; never raises for what it finds."""
    credential = _credential(login)
    if credential.status == "failed":
        return (credential,)
    with Together() as at_once:
        catalog = at_once.ask(lambda: _tried(offers.catalog))
        services = [at_once.ask(partial(_service, api, name, path)) for name, path in SERVICES.items()]
    lines = [credential, *(one.result() for one in services)]
    found = catalog.result()
    return (*lines, *(offered(found) if isinstance(found, Catalog) else ()))


def offered(catalog: Catalog) -> tuple[Check, ...]:
    """Return what the catalog tells: quota, image, flavor, external network."""
    return (*_quota(catalog), _images(catalog), _flavors(catalog), _external(catalog))


def _credential(login: Login) -> Check:
    try:
        project = login.project()
    except ImError as error:
        hint = error.hint or "check user, password or secret, project and domains in clouds.yaml or OS_*"
        return Check("credential", "failed", f"{error.where}: {error.message}".removeprefix(": "), hint)
    if not project:
        hint = "name a project: project_name in clouds.yaml, or OS_PROJECT_NAME"
        return Check("credential", "failed", "it is good, but for no project", hint)
    return Check("credential", "ok", f"good for project {project}")


def _service(api: Api, name: str, path: str) -> Check:
    try:
        api.get(name, path)
    except ImError as error:
        status: Literal["failed", "warning"] = "warning" if name == OPTIONAL else "failed"
        need = "volumes cannot be made" if name == OPTIONAL else f"ask the site for access to its {name} service"
        return Check(f"service {name}", status, error.message, error.hint or need)
    return Check(f"service {name}", "ok", "answers")


def _tried(call: Callable[[], Catalog]) -> Catalog | ImError:
    try:
        return call()
    except ImError as error:
        return error


def _quota(catalog: Catalog) -> Iterator[Check]:
    rooms = {name: catalog.quota[name] for name in ASKS if name in catalog.quota}
    free = ", ".join(f"{_room(name, room)} {ASKS[name]}" for name, room in rooms.items())
    full = [name for name, room in rooms.items() if not room.free]
    if not full:
        yield Check("quota", "ok", f"free: {free}" if free else "the site tells of no limit")
        return
    what = ", ".join(ASKS[name] for name in full)
    status: Literal["failed", "warning"] = "failed" if set(full) & set(NEEDED) else "warning"
    yield Check("quota", status, f"none free: {what}; free: {free}", f"ask the site for more {what}, or delete some")


def _room(name: str, room: Room) -> str:
    unit = GIB if name == "memory" else 1
    return f"{room.free / unit:.5g} of {room.limit / unit:.5g}"


def _images(catalog: Catalog) -> Check:
    if not catalog.images:
        return Check("image", "failed", "none can be seen", "ask the site for one, or: openstack image create")
    told = sum(1 for image in catalog.images if image.distribution)
    if not told:
        hint = "name the image in the template, or ask the site to set os_distro and os_version"
        return Check("image", "warning", f"{len(catalog.images)}, none says its distribution", hint)
    return Check("image", "ok", f"{len(catalog.images)}, {told} of them say their distribution")


def _flavors(catalog: Catalog) -> Check:
    if not catalog.flavors:
        return Check("flavor", "failed", "none can be seen", "ask the site for access to a flavor")
    largest = max(catalog.flavors, key=lambda one: (one.cpus, one.memory))
    gpus = sum(1 for one in catalog.flavors if one.gpus)
    text = f"{len(catalog.flavors)}, the largest is {largest.name} with {largest.cpus} CPUs"
    return Check("flavor", "ok", f"{text}; {gpus} with GPUs" if gpus else text)


def _external(catalog: Catalog) -> Check:
    external: list[CloudNetwork] = [one for one in catalog.networks if one.external]
    if not external:
        hint = "ask the site for an external network, or reach the front-end through a jump host"
        return Check("external network", "warning", "none: no public addresses can be given", hint)
    names = ", ".join(one.name for one in external)
    if len(external) > 1:
        hint = "say in the template which one: network_name of the public network"
        return Check("external network", "warning", f"several: {names}", hint)
    return Check("external network", "ok", f"{names}; {catalog.free_addresses} unused addresses in the project")
