"""Block storage that machines require, as the volumes that each of them gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from im.topology.document import Map
from im.topology.functions import Scope
from im.topology.model import Volume
from im.topology.schema import properties_of
from im.topology.units import size
from im.topology.world import first, text_of

if TYPE_CHECKING:
    from im.topology.model import Mark
    from im.topology.nodes import NodeTemplate, Relation
    from im.topology.world import World

VOLUME: Final = "tosca.nodes.BlockStorage"
FILE_SYSTEMS: Final = ("ext4", "xfs")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._-]+)+")


def volumes_of(world: World, node: NodeTemplate, count: int) -> tuple[Volume, ...]:
    """Return the volumes of a machine, of which there are ``count``."""
    volumes: dict[str, Volume] = {}
    for link in node.relations:
        target = world.nodes.get(link.target)
        if target is None or not world.is_a(target, VOLUME):
            continue
        volume = _volume(world, target, node, link)
        if volume is None:
            continue
        if volume.existing and count > 1:
            message = f"the volume '{volume.existing}' can be on one machine only, not on all {count} of '{node.name}'"
            world.findings.error(link.mark, "volume", message, "take 'size' for a new one on each")
        if any(volume.mount and volume.mount == other.mount for other in volumes.values()):
            message = f"'{node.name}' has two volumes at {volume.mount}"
            world.findings.error(link.mark, "volume", message, "give each a folder of its own")
        volumes[volume.name] = volume
    return tuple(volumes.values())


def check_volumes(world: World) -> None:
    """Report volumes that no machine attaches, and those that are wanted in a way that im does not know."""
    attached = {link.target for node in world.nodes.values() for link in node.relations}
    for node in world.of_type(VOLUME):
        if text_of(world.property(node, "snapshot_id")):
            mark = node.properties.value_mark("snapshot_id")
            hint = "make a volume of it at the cloud and name that with volume_id"
            world.findings.error(mark, "volume", f"'{node.name}' begins as a snapshot, which im does not do", hint)
        elif _lacks_size(world, node):
            message = f"the property 'size' of '{node.name}' is missing"
            world.findings.error(node.mark, "missing-property", message, "or 'volume_id' of one that the cloud has")
        elif _is_disk(world, node) and node.name not in attached:
            message = f"the volume '{node.name}' is on no machine and is not made"
            world.findings.warning(node.mark, "ignored", message, "attach it: '- local_storage:' of a machine")


def _lacks_size(world: World, node: NodeTemplate) -> bool:
    """Tell whether TOSCA's condition on a volume is broken; a type that says ``size`` anew knows better."""
    base = properties_of(world.types.merged("node", VOLUME, "properties"), world.types)["size"]
    return node.definitions["size"].mark == base.mark and not _is_disk(world, node)


def _is_disk(world: World, node: NodeTemplate) -> bool:
    """Tell whether there is a disk behind block storage: types for IM derive file systems of the network from it."""
    return bool(size(world.property(node, "size")) or text_of(world.property(node, "volume_id")))


def _volume(world: World, target: NodeTemplate, node: NodeTemplate, link: Relation) -> Volume | None:
    if not _is_disk(world, target):
        return None
    scope = Scope(node.name, node.name, target.name, link.properties)

    def say(key: str) -> str:
        return text_of(world.resolver.resolve(link.properties.get(key), scope, link.properties.value_mark(key)))

    if say("device"):
        message = f"the device '{say('device')}' of the volume '{target.name}' is not asked for"
        world.findings.warning(link.properties.key_mark("device"), "ignored", message, "it is found by its identity")
    mount = str(first(say("location"), text_of(world.property(target, "path"))) or "")
    kind = str(first(say("fs_type"), text_of(world.property(target, "file_system"))) or Volume("").file_system)
    existing = text_of(world.property(target, "volume_id")).rpartition("/")[2]
    _check_place(world, link, target, mount, kind)
    return Volume(target.name, size(world.property(target, "size")) or 0, mount, kind, existing)


def _check_place(world: World, link: Relation, target: NodeTemplate, mount: str, kind: str) -> None:
    if mount and not (_PATH.fullmatch(mount) and not {".", ".."} & set(mount.split("/"))):
        message = f"the volume '{target.name}' cannot be mounted at '{mount}'"
        world.findings.error(_spot(link.properties, "location", link.mark), "volume", message, "such as /data")
    if kind not in FILE_SYSTEMS:
        message = f"the volume '{target.name}' cannot be formatted as '{kind}'"
        mark = _spot(link.properties, "fs_type", target.mark)
        world.findings.error(mark, "volume", message, f"there are {', '.join(FILE_SYSTEMS)}")


def _spot(holder: Map, key: str, otherwise: Mark) -> Mark:
    return holder.value_mark(key) if key in holder else otherwise
