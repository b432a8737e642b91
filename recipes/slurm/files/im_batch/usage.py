"""What a job used, from its control group, which outlives the job because we put an empty folder into it."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PIN = "im"
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Usage:
    """Processor seconds, the most memory at a time, how often memory ran out, bytes; None where nobody counts."""

    cpu_seconds: float | None = None
    peak_memory: int | None = None
    oom_kills: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


def groups(job: int, user: int, root: Path = ROOT) -> list[Path]:
    """Return the control groups of a job, one per hierarchy; they may not exist yet.

    Slurm's name for its part of a hierarchy depends on how it was built: it is looked for.
    """
    found = []
    for hierarchy in sorted(root.glob("*")):
        found += [part / f"uid_{user}/job_{job}" for part in _slurms(hierarchy)]
    for scope in (*root.glob("system.slice/*slurmstepd.scope"), *root.glob("*slurmstepd.scope")):
        found.append(scope / f"job_{job}")
    return found


def _slurms(hierarchy: Path) -> list[Path]:
    return [hierarchy / "slurm", *hierarchy.glob("slurm_*")] if hierarchy.is_dir() else []


def pin(places: list[Path]) -> None:
    """Keep the groups in being beyond the job's end. A hierarchy that cannot be pinned is not counted."""
    for place in places:
        if place.parents[1].is_dir():
            with contextlib.suppress(OSError):
                (place / PIN).mkdir(parents=True, exist_ok=True)
                if (control := place.parent / "cgroup.subtree_control").exists():  # Slurm leaves disks uncounted
                    control.write_text("+io")


def unpin(places: list[Path]) -> None:
    """Let go; empty groups are removed, those below a job's as well: the kernel keeps what holds processes."""
    for place in places:
        for folder, _, _ in os.walk(place, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def read(places: list[Path]) -> Usage:
    """Read what the kernel counted. Both versions of control groups are understood."""
    cpu = memory = oom = read = written = None
    for place in places:
        cpu = _number(place / "cpuacct.usage", 1e-9) or _field(place / "cpu.stat", "usage_usec", 1e-6) or cpu
        memory = _number(place / "memory.max_usage_in_bytes") or _number(place / "memory.peak") or memory
        killed = _field(place / "memory.events", "oom_kill")
        oom = killed if killed is not None else oom
        if (place / "io.stat").exists():
            read, written = _disk(place / "io.stat", "rbytes"), _disk(place / "io.stat", "wbytes")
    return Usage(
        None if cpu is None else round(cpu, 3),
        None if memory is None else int(memory),
        None if oom is None else int(oom),
        read,
        written,
    )


def own_oom_kills(root: Path = ROOT, process: str = "/proc/self/cgroup") -> int | None:
    """Return how many processes of our own group were ended for lack of memory (version 1 counts only there)."""
    found = None
    with contextlib.suppress(OSError):
        for line in Path(process).read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                found = _field(root / "memory" / path.lstrip("/") / "memory.oom_control", "oom_kill")
            elif not controllers and found is None:
                found = _field(root / path.lstrip("/") / "memory.events", "oom_kill")
    return None if found is None else int(found)


def watch_memory(group: Path) -> Callable[[], int]:
    """Have the kernel tell when memory runs out in a group of version 1; return what says if it did (0 or 1).

    It counts such an end only in the group of the process itself, which an engine removes at once.
    """
    event = ctypes.CDLL(None).eventfd(0, os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        watched = os.open(group / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        (group / "cgroup.event_control").write_text(f"{event} {watched}")
    except OSError:
        return lambda: 0

    def told() -> int:
        try:
            return int(any(os.read(event, 8)))
        except BlockingIOError:
            return 0

    return told


def _number(path: Path, unit: float = 1) -> float | None:
    try:
        return int(path.read_text()) * unit
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str, unit: float = 1) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value) * unit
    return None


def _disk(path: Path, name: str) -> int | None:
    """Return the sum over all disks; version 2 counts here, of whatever ran in the group."""
    with contextlib.suppress(OSError, ValueError):
        words = path.read_text().split()
        return sum(int(word.partition("=")[2]) for word in words if word.startswith(f"{name}="))
    return None
