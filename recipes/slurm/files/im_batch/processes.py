"""The job's processes: what they may, whose they are, and who is who below a running container."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from pathlib import Path

_NO_NEW_PRIVILEGES, _SUBREAPER = 38, 36
_STARTERS = ("proot", "conmon")
"""Beginnings of the names of what stands between an engine and a program."""


def give_up_privileges() -> None:
    """From here on, no program that this process starts gains anything by set-user-id bits or file capabilities."""
    _control(_NO_NEW_PRIVILEGES)


def adopt() -> None:
    """From here on, whoever loses his parent below us becomes our child."""
    _control(_SUBREAPER)


def _control(what: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(what, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refuses")


def reap(patience: float = 10.0) -> None:
    """Wait for the children that end by themselves: only then the kernel adds what they did to what we did."""
    limit = time.monotonic() + patience
    with contextlib.suppress(ChildProcessError):
        while any(_name(child, Path("/proc")) in _STARTERS for child in children(os.getpid())):
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                if time.monotonic() > limit:
                    return
                time.sleep(0.01)


def program(starter: int, *, wrapped: bool, root: Path = Path("/proc")) -> list[int]:
    """Return the process of the container's program below ``starter``, the engine's own.

    ``wrapped``: a shell in the container waits for it. Where nothing stands between: everything below ``starter``.
    """
    below = descendants(starter, root)
    for process in below:
        if _name(process, root).startswith(_STARTERS):
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
