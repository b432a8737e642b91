"""Whether the account may have what a plan creates. What a cloud makes of its own accord is not counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from im.errors import NoCapacity
from im.plan.match import size
from im.plan.model import Action, Catalog, Node, Room
from im.topology.model import NodeGroup, Topology

_WORDS = {
    "servers": "servers",
    "cpus": "CPUs",
    "memory": "memory",
    "ports": "ports",
    "public-addresses": "public addresses",
    "volumes": "volumes",
    "volume-bytes": "volume space",
    "networks": "networks",
    "routers": "routers",
    "security-groups": "security groups",
    "server-groups": "server groups",
}
"""What quotas are called in messages, in this order."""

_BYTES = {"memory", "volume-bytes"}


def needs(
    actions: Sequence[Action], topology: Topology, rows: Sequence[Node], public: Collection[str], *, new: bool
) -> Mapping[str, int]:
    """Return how much of each quota these actions take.

    ``public``: names of the nodes that get a public address. ``new``: nothing of the infrastructure exists yet. A node
    that is replaced leaves its room to its successor.
    """
    known = {row.name: row for row in rows}
    total: Counter[str] = Counter(_of_environment(topology) if new else {})
    for action in actions:
        if action.kind == "create":
            total.update(_of_node(action, topology.group(action.group)))
            total["public-addresses"] += action.node in public
        elif action.kind == "replace":
            before = known[action.node]
            total["cpus"] += action.cpus - before.cpus
            total["memory"] += action.memory - before.memory
    return {name: number for name, number in total.items() if number > 0}


def check_quota(wanted: Mapping[str, int], catalog: Catalog, where: str) -> None:
    """Raise :class:`im.errors.NoCapacity` that names every quota of ``catalog`` that does not suffice."""
    unused = {"public-addresses": catalog.free_addresses}
    short = [
        (name, wanted[name], room, room.free + unused.get(name, 0))
        for name in _WORDS
        if name in wanted and (room := catalog.quota.get(name)) and wanted[name] > room.free + unused.get(name, 0)
    ]
    if short:
        texts = [
            f"{_WORDS[name]}: {_amount(name, number)} wanted, {_amount(name, free)} free of {_amount(name, room.limit)}"
            for name, number, room, free in short
        ]
        asked = [f"{_WORDS[name]} {_amount(name, _enough(number, room, free))}" for name, number, room, free in short]
        hint = f"ask the site for a quota of {', '.join(asked)}; or ask for less in the template"
        raise NoCapacity(f"the quota of the account does not suffice; {'; '.join(texts)}", where=where, hint=hint)


def _enough(wanted: int, room: Room, free: int) -> int:
    return max(room.limit, room.used) + wanted - free


def _amount(name: str, number: int) -> str:
    return size(number) if name in _BYTES else str(number)


def _of_node(action: Action, group: NodeGroup) -> Mapping[str, int]:
    made = [volume.size for volume in group.volumes if not volume.existing]
    made += [group.boot_volume] if group.boot_volume else []
    return {
        "servers": 1,
        "cpus": action.cpus,
        "memory": action.memory,
        "ports": max(len(group.networks), 1),
        "volumes": len(made),
        "volume-bytes": sum(made),
    }


def _of_environment(topology: Topology) -> Mapping[str, int]:
    groups = [group for group in topology.groups if group.count]
    private = [network for network in topology.networks if not (network.existing or network.public)]
    return {
        "networks": len(private),
        "routers": min(len(private), 1),
        "security-groups": len(groups),
        "server-groups": sum(bool(group.placement) for group in groups),
    }
