"""Who is who below a running container: only its program gets signals, as in Docker."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def program(starter: int, *, wrapped: bool, root: Path = Path("/proc")) -> list[int]:
    """Return the process of the container's program below ``starter``, udocker's own.

    ``wrapped``: a shell in the container waits for it. Where there is no proot: everything below ``starter``.
    """
    below = descendants(starter, root)
    for process in below:
        if _name(process, root).startswith("proot"):
            first = children(process, root)
            return [grandchild for child in first for grandchild in children(child, root)] if wrapped else first
    return below


def descendants(process: int, root: Path = Path("/proc")) -> list[int]:
    """Return all processes below one, parents first."""
    found = children(process, root)
    for child in found:
        found.extend(children(child, root))
    return found


def children(process: int, root: Path = Path("/proc")) -> list[int]:
    """Return the processes that one has started."""
    found: list[int] = []
    for listing in (root / str(process) / "task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in listing.read_text().split()]
    return found


def _name(process: int, root: Path) -> str:
    try:
        return (root / str(process) / "comm").read_text().strip()
    except OSError:
        return ""


def signal_all(processes: list[int], number: int) -> None:
    """Send a signal; those that have ended do not mind."""
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, number)
