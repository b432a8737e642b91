"""Servers as nova shows them and as it wants them. Pure."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from im.errors import InputError
from im.plan.model import AttachedVolume, Instance, NodeSpec
from im.providers.cloud_init import user_data
from im.providers.openstack.api import Json
from im.providers.openstack.marks import EXISTING, OUTSIDE, Batch, from_metadata, to_metadata
from im.providers.openstack.readings import GIB
from im.providers.openstack.surroundings import Surroundings

Status = Literal["building", "active", "stopped", "error", "deleting"]
LARGEST_USER_DATA = 65535
DEVICE = "/dev/disk/by-id/virtio-"
"""Here a node finds a volume, by the first 20 characters of its id."""

_STATUSES: Mapping[str, Status] = {
    "BUILD": "building",
    "REBUILD": "building",
    "UNKNOWN": "building",
    "ERROR": "error",
    "SHUTOFF": "stopped",
    "SUSPENDED": "stopped",
    "PAUSED": "stopped",
    "SHELVED": "stopped",
    "SHELVED_OFFLOADED": "stopped",
    "DELETED": "deleting",
    "SOFT_DELETED": "deleting",
}


def instance_of(shown: Json) -> Instance | None:
    """Return a server of ``GET /servers/detail``; None if it is not ours."""
    batch = from_metadata(shown["metadata"])
    node = batch.node(shown["name"]) if batch else None
    if batch is None or node is None:
        return None
    private, public = addresses_of(shown)
    return Instance(
        id=shown["id"],
        infrastructure=batch.infrastructure,
        group=batch.group,
        index=node.index,
        name=node.name,
        token=node.token,
        status=status_of(shown),
        private_address=private,
        public_address=public,
        message=fault_of(shown),
        volumes=volumes_of(shown),
    )


def volumes_of(shown: Json) -> tuple[AttachedVolume, ...]:
    """Return the volumes at a server; only cinder knows the names of those that we made."""
    attached = shown.get("os-extended-volumes:volumes_attached") or ()
    return tuple(
        AttachedVolume(shown["metadata"].get(f"{EXISTING}{one['id']}", ""), one["id"], f"{DEVICE}{one['id'][:20]}")
        for one in attached
    )


def status_of(shown: Json) -> Status:
    """Return what a server does, in the engine's words."""
    if shown.get("OS-EXT-STS:task_state") == "deleting":
        return "deleting"
    return _STATUSES.get(shown["status"], "active")


def fault_of(shown: Json) -> str:
    """Return why a server is in error, in the cloud's words."""
    return str((shown.get("fault") or {}).get("message") or "") if shown["status"] == "ERROR" else ""


def addresses_of(shown: Json) -> tuple[str, str]:
    """Return the private and the public address, IPv4 if there is one; "" for what it has not."""
    outside = shown["metadata"].get(OUTSIDE)
    fixed: list[Json] = []
    public: list[Json] = []
    for network, entries in (shown.get("addresses") or {}).items():
        for entry in entries:
            floats = entry.get("OS-EXT-IPS:type") == "floating"
            (public if floats or network == outside else fixed).append(entry)
    return _first(fixed) or _first(public), _first(public)


def requested(batch: Batch, shown: Json) -> Instance | None:
    """Return a server of which only id and name are known, because it was asked for a moment ago."""
    node = batch.node(shown["name"])
    if node is None:
        return None
    return Instance(shown["id"], batch.infrastructure, batch.group, node.index, node.name, node.token, "building")


def create_body(specs: Sequence[NodeSpec], flavor: str, around: Surroundings) -> Json:
    """Return the body of one create call for equal specs."""
    spec, batch = specs[0], Batch.of(specs)
    networks = networks_of(spec.networks, around)
    server: Json = {
        "name": batch.base(around.label),
        "flavorRef": flavor,
        "min_count": len(specs),
        "max_count": len(specs),
        "networks": [{"uuid": id_} for id_ in networks],
        "security_groups": [{"name": id_} for id_ in (around.inside, around.groups.get(spec.group, "")) if id_],
        "metadata": to_metadata(batch) | _outside(networks, around),
        "config_drive": True,
        **_disk(spec),
    }
    if spec.availability_zone:
        server["availability_zone"] = spec.availability_zone
    if spec.key_pair:
        server["key_name"] = spec.key_pair
    if text := user_data(spec.identity, spec.user_data) if spec.identity else spec.user_data:
        server["user_data"] = _encoded(text)
    body: Json = {"server": server}
    if group := around.placements.get(spec.group):
        body["os:scheduler_hints"] = {"group": group}
    return body


def networks_of(wanted: Iterable[str], around: Surroundings) -> list[str]:
    """Return the ids of the networks that a server is plugged into; one that only lends addresses is not among them."""
    ids = [around.networks[name] for name in wanted if name in around.networks]
    return ids or [around.default]


def missing_from(known: Collection[str], specs: Iterable[NodeSpec]) -> list[NodeSpec]:
    """Return the specs whose token no server carries."""
    return [spec for spec in specs if spec.token not in known]


def _outside(networks: Iterable[str], around: Surroundings) -> dict[str, str]:
    return next(({OUTSIDE: around.outside[id_]} for id_ in networks if id_ in around.outside), {})


def _disk(spec: NodeSpec) -> Json:
    if not spec.boot_volume:
        return {"imageRef": spec.image}
    volume = {
        "boot_index": 0,
        "uuid": spec.image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": -(-spec.boot_volume // GIB),
        "delete_on_termination": True,
    }
    return {"block_device_mapping_v2": [volume]}


def _encoded(text: str) -> str:
    encoded = base64.b64encode(text.encode()).decode("ascii")
    if len(encoded) > LARGEST_USER_DATA:
        hint = f"OpenStack takes {LARGEST_USER_DATA * 3 // 4 // 1024} KiB, ours included: fetch the rest from somewhere"
        raise InputError("the user data is too long", hint=hint)
    return encoded


def _first(entries: Sequence[Json]) -> str:
    ordered = sorted(entries, key=lambda entry: entry.get("version", 4))
    return str(ordered[0]["addr"]) if ordered else ""
