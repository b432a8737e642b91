"""What a compute resource means as a server of ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import NamedTuple

from im.plan.model import AttachedVolume, Instance
from im.providers.occi.catalog import CORES, memory_of, number
from im.providers.occi.dialects import Dialect, Status
from im.providers.occi.marks import ServerMark
from im.providers.occi.model import IP_RESERVATION, STORAGE, STORAGE_LINK, Link, Resource

STATE = "occi.compute.state"
MESSAGES = ("occi.compute.state.message", "org.openstack.compute.error")
ADDRESS = "occi.networkinterface.address"
DEVICE = "occi.storagelink.deviceid"


class Addresses(NamedTuple):
    """The addresses of a server; "" where it has none."""

    private: str = ""
    public: str = ""


def instance_of(resource: Resource, mark: ServerMark, dialect: Dialect) -> Instance:
    """Return a server as the interface of providers has it; its volumes come from elsewhere."""
    addresses = addresses_of(resource, dialect)
    message = next((str(resource.attributes[key]) for key in MESSAGES if key in resource.attributes), "")
    return replace(
        mark.instance(resource.id, status_of(resource, dialect), message),
        private_address=addresses.private,
        public_address=addresses.public,
        cpus=int(number(resource.attributes.get(CORES))),
        memory=memory_of(resource.attributes, dialect),
    )


def status_of(resource: Resource, dialect: Dialect) -> Status:
    """Return the state of a server.

    Where a server is called inactive also while it is built or after that failed, one without an address is not there
    yet: a stopped one keeps its addresses.
    """
    status = dialect.states.get(str(resource.attributes.get(STATE, "")).lower(), "building")
    if status == "stopped" and dialect.silent_building and not any(addresses_of(resource, dialect)):
        return "building"
    return status


def addresses_of(resource: Resource, dialect: Dialect) -> Addresses:
    """Return the first private and the first public address of a server; where all are public, they are the same."""
    private = public = ""
    for link in resource.links:
        if not (address := _address(link)):
            continue
        if is_floating(link, dialect) or ip_address(address).is_global:
            public = public or address
        else:
            private = private or address
    return Addresses(private or public, public)


def is_floating(link: Link, dialect: Dialect) -> bool:
    """Tell whether a network link has a public address that was given to the server later, and can be given back."""
    if link.target_kind == IP_RESERVATION or "/ipreservation/" in link.target:
        return True
    return bool(dialect.public_network) and link.target.rstrip("/").endswith(f"/{dialect.public_network}")


def storage_links(resource: Resource) -> Iterator[Link]:
    """Yield the links of a server to its volumes and disks."""
    for link in resource.links:
        if link.target and (link.target_kind == STORAGE or link.kind == STORAGE_LINK or DEVICE in link.attributes):
            yield link


def attached(name: str, id: str, link: Link, dialect: Dialect) -> AttachedVolume:  # noqa: A002
    """Return a volume that a link of its server leads to; some servers name its device without the folder."""
    device = dialect.volume_device.format(id=id, device=link.attributes.get(DEVICE, ""))
    return AttachedVolume(name, id, str(PurePosixPath("/dev", device)) if device else "")


def _address(link: Link) -> str:
    address = str(link.attributes.get(ADDRESS, ""))
    try:
        return str(ip_address(address.partition("/")[0]))
    except ValueError:
        return ""
