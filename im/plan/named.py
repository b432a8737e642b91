"""Whether a cloud has what a template names: networks, a zone, volumes, a way out."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from im.errors import InputError
from im.plan.match import place
from im.plan.model import Catalog
from im.topology.model import NodeGroup, Topology


def check_named(
    groups: Iterable[NodeGroup], topology: Topology, catalog: Catalog, *, volumes: bool, public: bool
) -> None:
    """Raise :class:`im.errors.InputError` for the first thing that these groups name and the cloud does not have.

    ``volumes``: whether the cloud has volumes. ``public``: whether any node needs a public address.
    """
    for group in groups:
        _check_networks(group, topology, catalog)
        _check_zone(group, catalog)
        _check_volumes(group, volumes=volumes)
    if public:
        _check_way_out(topology, catalog)


def _check_networks(group: NodeGroup, topology: Topology, catalog: Catalog) -> None:
    names = {name for network in catalog.networks for name in (network.id, network.name)}
    for network in topology.networks:
        if network.name in group.networks and network.existing and names and network.existing not in names:
            known = [other.name or other.id for other in catalog.networks]
            hint = _nearest(network.existing, known)
            raise InputError(f"this cloud has no network {network.existing!r}", where=place(group), hint=hint)


def _check_zone(group: NodeGroup, catalog: Catalog) -> None:
    if group.availability_zone and catalog.zones and group.availability_zone not in catalog.zones:
        hint = _nearest(group.availability_zone, catalog.zones)
        message = f"this cloud has no availability zone {group.availability_zone!r}"
        raise InputError(message, where=place(group), hint=hint)


def _check_volumes(group: NodeGroup, *, volumes: bool) -> None:
    taken = [volume.existing for volume in group.volumes if volume.existing]
    if taken and not volumes:
        hint = "leave it out, or use a cloud with volumes"
        raise InputError(f"this cloud has no volumes, so no {taken[0]!r}", where=place(group), hint=hint)


def _check_way_out(topology: Topology, catalog: Catalog) -> None:
    """Public addresses come from the network that the template names, or from the only external one."""
    if not catalog.networks or any(network.public and network.existing for network in topology.networks):
        return
    external = sorted(network.name or network.id for network in catalog.networks if network.external)
    if not external:
        hint = "ask the site for one, or name a machine to go through: the setting jump_hosts"
        raise InputError("this cloud has no external network that public addresses could come from", hint=hint)
    if len(external) > 1:
        hint = "name one in the template: a public network with network_name"
        raise InputError(f"public addresses could come from several networks: {', '.join(external)}", hint=hint)


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3) or sorted(known)[:8]
    return f"it has: {', '.join(near)}"
