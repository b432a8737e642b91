"""A topology as lines for people: what im understood of a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from im.topology.model import MANY

if TYPE_CHECKING:
    from im.topology.model import Network, NodeGroup, Port, Software, Topology


def outline(topology: Topology) -> list[str]:
    """Return what each group of machines is, what it has, and what runs on it in which order."""
    networks = {network.name: network for network in topology.networks}
    lines: list[str] = []
    for group in sorted(topology.groups, key=lambda one: not one.front_end):
        lines += [f"{group.name}: {_kind(group)}", *(f"  {name:<9} {text}" for name, text in _rows(group, networks))]
        hosted = [software for software in topology.software if software.host == group.name]
        lines += [f"  {'runs' if first else '':<9} {_software(each)}" for first, each in _firsts(hosted)]
    roles = ", ".join(name if folder else f"{name} (missing)" for name, folder in topology.roles.items())
    return [*lines, f"roles: {roles}"] if roles else lines


def summary(group: NodeGroup) -> tuple[str, ...]:
    """Return the few lines that a picture has room for."""
    rows = (_size(group), _image(group) if _image(group) != "any" else "", ", ".join(map(_port, group.ports[:4])))
    volumes = (f"{volume.mount or volume.name} {_bytes(volume.size)}".strip() for volume in group.volumes)
    return tuple(row[:40] for row in (*rows, *volumes) if row)


def _firsts(items: list[Software]) -> Iterator[tuple[bool, Software]]:
    return ((index == 0, item) for index, item in enumerate(items))


def _kind(group: NodeGroup) -> str:
    words = ["front-end"] if group.front_end else []
    words.append(_number(group.count, "machine") + _limits(group))
    words += ["public"] if group.public else []
    words += ["works"] if group.works else []
    return f"{', '.join(words)} ({group.type})"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _limits(group: NodeGroup) -> str:
    """The limits that a template gives, but for those that leave no choice."""
    is_limited = group.max_count not in (MANY, group.min_count)
    return f" ({group.min_count} to {group.max_count})" if is_limited else ""


def _rows(group: NodeGroup, networks: Mapping[str, Network]) -> Iterator[tuple[str, str]]:
    rows = (
        ("size", _size(group)),
        ("image", _image(group)),
        ("networks", ", ".join(_network(networks[name]) for name in group.networks if name in networks)),
        ("open", ", ".join(map(_port, group.ports))),
        (
            "volumes",
            ", ".join(f"{volume.name} {_bytes(volume.size)} {volume.mount}".strip() for volume in group.volumes),
        ),
        ("shared", ", ".join(group.shared)),
        ("place", ", ".join(filter(None, (group.availability_zone, group.placement)))),
        ("named", group.host_name),
    )
    return ((name, text) for name, text in rows if text)


def _size(group: NodeGroup) -> str:
    hardware = group.hardware
    if hardware.flavor:
        return f"flavor {hardware.flavor}"
    wanted = [_number(hardware.cpus, "CPU")]
    wanted += [f"{_bytes(hardware.memory)} memory"] if hardware.memory else []
    wanted += [f"{_bytes(hardware.disk)} disk"] if hardware.disk else []
    wanted += [_number(hardware.gpus, "GPU")] if hardware.gpus else []
    return ", ".join(wanted)


def _bytes(number: int) -> str:
    """A size as templates write it, with the unit that leaves the fewest digits."""
    for unit, scale in (("GiB", 2**30), ("GB", 10**9), ("MiB", 2**20), ("MB", 10**6)):
        if number and number % scale == 0:
            return f"{number // scale} {unit}"
    return f"{number / 10**9:.3g} GB" if number else ""


def _image(group: NodeGroup) -> str:
    system = group.os
    words = (system.distribution, system.version, system.architecture)
    return system.image or " ".join(word for word in words if word) or "any"


def _network(network: Network) -> str:
    kind = "public" if network.public else "private"
    return f"{network.name} ({kind}{f', {network.existing} of the cloud' if network.existing else ''})"


def _port(port: Port) -> str:
    numbers = f"{port.first}" if port.first == port.last else f"{port.first}-{port.last}"
    return f"{numbers}/{port.protocol}" + ("" if port.remote_cidr == "0.0.0.0/0" else f" from {port.remote_cidr}")


def _software(software: Software) -> str:
    runs = ", ".join(f"{each.name} {PurePath(each.implementation).name}" for each in software.operations)
    return f"{software.level}. {software.name} ({software.type}): {runs or 'nothing'}"
