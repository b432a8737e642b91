"""What nova, glance and the limits of the services say, as the planner's values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from im.errors import NoCapacity
from im.plan.model import CloudNetwork, Flavor, Image, Room
from im.providers.openstack.api import Json

MIB = 1 << 20
GIB = 1 << 30

NO_GPU = re.compile(r"nic|net|sriov|nvme|ssd|fpga|qat|crypto", re.IGNORECASE)
"""Aliases of PCI devices that are no GPU; sites name them as they like, and nearly all are GPUs."""
GPU_RESOURCES = re.compile(r"resources\d*:(VGPU|PGPU|CUSTOM_\w*GPU\w*)")
GPU_NUMBERS = ("gpu", "gpus", "Accelerator:Number")

_ROOMS = {
    "servers": ("maxTotalInstances", "totalInstancesUsed", 1),
    "cpus": ("maxTotalCores", "totalCoresUsed", 1),
    "memory": ("maxTotalRAMSize", "totalRAMUsed", MIB),
    "server-groups": ("maxServerGroups", "totalServerGroupsUsed", 1),
    "volumes": ("maxTotalVolumes", "totalVolumesUsed", 1),
    "volume-bytes": ("maxTotalVolumeGigabytes", "totalGigabytesUsed", GIB),
}
_NETWORK_ROOMS = {
    "networks": "network",
    "security-groups": "security_group",
    "public-addresses": "floatingip",
    "ports": "port",
    "routers": "router",
}


def flavor_of(shown: Json) -> Flavor:
    """Return a flavor as ``GET /flavors/detail`` shows it."""
    return Flavor(
        id=shown["id"],
        name=shown["name"],
        cpus=shown["vcpus"],
        memory=shown["ram"] * MIB,
        disk=shown["disk"] * GIB,
        gpus=gpus_of(shown.get("extra_specs") or {}),
    )


def flavors_of(shown: Iterable[Json]) -> tuple[Flavor, ...]:
    """Return the flavors that can be used."""
    return tuple(flavor_of(one) for one in shown if not one.get("OS-FLV-DISABLED:disabled"))


def gpus_of(specs: Mapping[str, str]) -> int:
    """Return how many GPUs the extra specs of a flavor give."""
    passed = sum(_alias(one) for one in specs.get("pci_passthrough:alias", "").split(","))
    virtual = sum(_number(value) for key, value in specs.items() if GPU_RESOURCES.fullmatch(key))
    kind = specs.get("Accelerator:Type", "GPU")
    said = max(_number(specs.get(key, "")) for key in GPU_NUMBERS) if kind.upper() == "GPU" else 0
    return max(passed, virtual, said)


def smallest(flavors: Sequence[Flavor], cpus: int, memory: int, disk: int) -> Flavor:
    """Return the smallest flavor that fits. Raises :class:`im.errors.NoCapacity`."""
    fitting = [
        one for one in flavors if one.cpus >= cpus and one.memory >= memory and (not one.disk or one.disk >= disk)
    ]
    if not fitting:
        raise NoCapacity(f"no flavor has {cpus} CPUs and {memory // MIB} MiB of memory")
    return min(fitting, key=lambda one: (one.gpus, one.cpus, one.memory, one.disk))


def image_of(shown: Json) -> Image:
    """Return an image as ``GET /v2/images`` shows it. A disk must hold what the image unpacks to."""
    return Image(
        id=shown["id"],
        name=shown.get("name") or shown["id"],
        distribution=shown.get("os_distro") or "",
        version=shown.get("os_version") or "",
        architecture=shown.get("architecture") or shown.get("hw_architecture") or "",
        min_disk=max((shown.get("min_disk") or 0) * GIB, shown.get("virtual_size") or 0),
        min_memory=(shown.get("min_ram") or 0) * MIB,
    )


def images_of(shown: Iterable[Json]) -> tuple[Image, ...]:
    """Return the images that a server can start from."""
    usable = (one for one in shown if one["status"] == "active" and one.get("disk_format") not in {"aki", "ari", "iso"})
    return tuple(image_of(one) for one in usable)


def rooms_of(absolute: Mapping[str, int]) -> dict[str, Room]:
    """Return what ``GET /limits`` of nova or cinder says; no limit (-1) is left out."""
    return {
        name: Room(absolute[limit] * unit, absolute.get(used, 0) * unit)
        for name, (limit, used, unit) in _ROOMS.items()
        if absolute.get(limit, -1) >= 0
    }


def network_rooms_of(quota: Mapping[str, Json]) -> dict[str, Room]:
    """Return what neutron's quota details say; no limit (-1) is left out."""
    return {
        name: Room(quota[key]["limit"], quota[key].get("used", 0) + quota[key].get("reserved", 0))
        for name, key in _NETWORK_ROOMS.items()
        if quota.get(key, {}).get("limit", -1) >= 0
    }


def networks_of(networks: Iterable[Json], subnets: Iterable[Json]) -> tuple[CloudNetwork, ...]:
    """Return the networks with the address ranges that we may see."""
    cidrs: dict[str, list[str]] = {}
    for subnet in subnets:
        cidrs.setdefault(subnet["network_id"], []).append(subnet["cidr"])
    return tuple(
        CloudNetwork(one["id"], one["name"], bool(one.get("router:external")), tuple(cidrs.get(one["id"], ())))
        for one in networks
    )


def zones_of(shown: Iterable[Json]) -> tuple[str, ...]:
    """Return the availability zones that take servers."""
    return tuple(one["zoneName"] for one in shown if one.get("zoneState", {}).get("available"))


def _alias(text: str) -> int:
    name, _, number = text.strip().partition(":")
    return 0 if not name or NO_GPU.search(name) else _number(number or "1")


def _number(text: str) -> int:
    return int(text) if str(text).strip().isdecimal() else 0
