"""Limits of nodes by control groups: version 1, version 2 and hybrids, as ``/proc/self/mounts`` shows them.

A node has one group per hierarchy, ``im-<infrastructure>/<node>`` below the mount point, and joins all of them: a
hierarchy that it did not join would show it the whole machine. In version 2 its processes sit in a leaf ``init``,
because a group with processes cannot hand controllers down to groups of its own (Docker in a node needs them).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_PERIOD = 100_000
HANDED_DOWN = ("cpu", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted hierarchy. ``options``: for a mount of it in a node (``cpu,cpuacct``, ``none,name=systemd``)."""

    mount: Path
    version: Literal[1, 2]
    controllers: frozenset[str]
    options: str = ""


def hierarchies(mounts: Path = Path("/proc/self/mounts")) -> tuple[Hierarchy, ...]:
    """Return the hierarchies that are mounted on this machine for writing, each once."""
    found: dict[str, Hierarchy] = {}
    for line in mounts.read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if options.split(",")[0] == "ro":
            continue
        if kind == "cgroup2":
            found.setdefault("2", _unified(Path(where)))
        elif kind == "cgroup" and (one := _version_one(Path(where), options.split(","))):
            found.setdefault(one.options, one)
    return tuple(found.values())


def _unified(where: Path) -> Hierarchy:
    with suppress(OSError):
        return Hierarchy(where, 2, frozenset((where / "cgroup.controllers").read_text().split()))
    return Hierarchy(where, 2, frozenset())


def _version_one(where: Path, options: Sequence[str]) -> Hierarchy | None:
    known = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "xattr", "clone_children", "seclabel"}
    names = [one for one in options if one not in known and not one.startswith("release_agent")]
    if not names:
        return None
    named = any(one.startswith("name=") for one in names)
    return Hierarchy(where, 1, frozenset(names), ",".join((["none"] if named else []) + names))


def create(all_of: Sequence[Hierarchy], infrastructure: str, node: str, cpus: int, memory: int) -> tuple[str, ...]:
    """Make the groups of a node with its limits; return the ``cgroup.procs`` files that its first process joins."""
    files = []
    for one in all_of:
        parent = one.mount / f"im-{infrastructure}"
        group = parent / node
        leaf = group if one.version == 1 else group / "init"
        if "cpuset" in one.controllers and one.version == 1:
            _inherit_cpuset(parent, group)
        leaf.mkdir(parents=True, exist_ok=True)
        if one.version == 2:
            _hand_down(one, parent, group)
        _limit(one, group, cpus, memory)
        files.append(str(leaf / "cgroup.procs"))
    return tuple(files)


def _inherit_cpuset(*groups: Path) -> None:
    """A new version 1 cpuset is empty, and takes no process until it has CPUs and memory nodes."""
    for group in groups:
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (group / name).read_text().strip():
                (group / name).write_text((group.parent / name).read_text())


def _hand_down(hierarchy: Hierarchy, parent: Path, group: Path) -> None:
    wanted = [name for name in HANDED_DOWN if name in hierarchy.controllers]
    for level in (parent, group):
        for name in wanted:
            with suppress(OSError):
                (level / "cgroup.subtree_control").write_text(f"+{name}")


def _limit(hierarchy: Hierarchy, group: Path, cpus: int, memory: int) -> None:
    for name, value in _limits(hierarchy.version, cpus, memory).items():
        if (file := group / name).exists():
            file.write_text(value)
    if hierarchy.version == 1 and "devices" in hierarchy.controllers:
        (group / "devices.deny").write_text("b *:* rw")


def _limits(version: Literal[1, 2], cpus: int, memory: int) -> dict[str, str]:
    """Return the files to write; 0 means no limit."""
    if version == 2:
        return {
            "cpu.max": f"{cpus * _PERIOD} {_PERIOD}" if cpus else f"max {_PERIOD}",
            "memory.max": str(memory or "max"),
        }
    return {
        "cpu.cfs_period_us": str(_PERIOD),
        "cpu.cfs_quota_us": str(cpus * _PERIOD if cpus else -1),
        "memory.limit_in_bytes": str(memory or -1),
    }


def processes(all_of: Sequence[Hierarchy], infrastructure: str, node: str = "") -> set[int]:
    """Return the processes in the groups of a node, or of all nodes of an infrastructure."""
    found: set[int] = set()
    for top in _tops(all_of, infrastructure, node):
        for group in _walk(top):
            with suppress(OSError):
                found.update(map(int, (group / "cgroup.procs").read_text().split()))
    return found


def remove(all_of: Sequence[Hierarchy], infrastructure: str, node: str = "") -> tuple[str, ...]:
    """Remove the groups of a node, or of a whole infrastructure; return those that are still busy."""
    busy = []
    for top in _tops(all_of, infrastructure, node):
        for group in _walk(top):
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                busy.append(str(group))
    return tuple(busy)


def _tops(all_of: Sequence[Hierarchy], infrastructure: str, node: str) -> list[Path]:
    return [one.mount / f"im-{infrastructure}" / node for one in all_of]


def _walk(top: Path) -> Iterator[Path]:
    """Give all groups below, children first."""
    for path, _, _ in os.walk(top, topdown=False):
        yield Path(path)


def views(all_of: Sequence[Hierarchy]) -> tuple[tuple[tuple[str, str, str], ...], tuple[tuple[str, str], ...]]:
    """Return the mounts that a node needs below its own /sys/fs/cgroup, and the usual links beside them.

    Version 2 alone is mounted there itself (name "").
    """
    if all(one.version == 2 for one in all_of):
        return tuple(("", "cgroup2", "") for _ in all_of), ()
    mounts, links = [], []
    for one in all_of:
        if one.version == 2:
            mounts.append(("unified", "cgroup2", ""))
            continue
        name = one.options.removeprefix("none,name=")
        mounts.append((name, "cgroup", one.options))
        links += [(part, name) for part in name.split(",") if part != name]
    return tuple(mounts), tuple(links)
