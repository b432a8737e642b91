"""Binds what was checked, not what a path means by then: in a mount namespace of the job's own, or by root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from im_batch import mounts, places
from im_batch.faults import BatchError

_NEW_MOUNTS, _NEW_USER = 0x20000, 0x10000000
_BIND, _REMOUNT, _READ_ONLY, _RECURSIVE, _PRIVATE = 4096, 32, 1, 16384, 1 << 18
_KEPT = 2 | 4 | 8 | 1024 | 2048
"""Flags of the original mount that the kernel wants to see again: nosuid, nodev, noexec, noatime, nodiratime."""
_DETACHED = 2

Identity = tuple[int, int]


def identities(held: list[int]) -> list[Identity]:
    """Return device and number of what the descriptors hold; as long as they do, nothing else can have them."""
    return [(status.st_dev, status.st_ino) for status in map(os.fstat, held)]


def enter() -> None:
    """Enter a user and a mount namespace for good. Raises :class:`BatchError`.

    Numbers of other users look like nobody's there, so owners are checked before.
    """
    user, group = os.getuid(), os.getgid()
    _unshare(_NEW_USER | _NEW_MOUNTS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(None, Path("/"), _RECURSIVE | _PRIVATE)


def enter_mounts() -> None:
    """Enter a mount namespace for good, where mounting is allowed already. Raises :class:`BatchError`."""
    _unshare(_NEW_MOUNTS)
    _mount(None, Path("/"), _RECURSIVE | _PRIVATE)


def bind(wanted: list[dict[str, Any]], known: list[Identity], folder: Path) -> list[tuple[str, str]]:
    """Mount each source below ``folder`` and return the pairs of place and target that a container gets.

    ``known`` says what was checked. Raises :class:`BatchError`.
    """
    pairs = []
    for number, (mount, identity) in enumerate(zip(wanted, known)):  # noqa: B905 - Python 3.9
        place = folder / str(number)
        again = mounts.walk(mount["source"], None)
        try:
            if identities([again]) != [tuple(identity)]:
                raise BatchError(f"{mount['source']} was exchanged while it was looked at")
            _bind(again, place)
            if mount["read_only"]:
                kept = os.statvfs(place).f_flag & _KEPT
                _mount(None, place, _BIND | _REMOUNT | _READ_ONLY | kept)
        finally:
            os.close(again)
        pairs.append((str(place), mount["target"]))
    return pairs


def bind_held(held: list[int], wanted: list[dict[str, Any]], folder: Path) -> list[tuple[str, str, bool]]:
    """As root: mount what the descriptors hold below ``folder``; return place, target, and if it is read-only."""
    pairs = []
    for number, (mount, descriptor) in enumerate(zip(wanted, held)):  # noqa: B905 - Python 3.9
        _bind(descriptor, folder / str(number))
        pairs.append((str(folder / str(number)), str(mount["target"]), bool(mount["read_only"])))
    return pairs


@contextmanager
def roots_places(job: str) -> Iterator[Path]:
    """Give a folder of root's for mounts of a job; they are let go in the end."""
    (places.BOUND / job).mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=places.BOUND / job))
    try:
        yield folder
    finally:
        let_go(folder)


def let_go(folder: Path) -> None:
    """Unmount what is bound on the places in a folder of root's, and remove it.

    Nothing below a place is ever touched: one that is still bound stays.
    """
    bound = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in sorted((place for place in bound if place.startswith(f"{folder}/")), reverse=True):
        _libc().umount2(place.encode(), _DETACHED)
    for path in (*folder.iterdir(), folder):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _unshare(what: int) -> None:
    if _libc().unshare(what):
        raise BatchError(
            "this node lets nobody mount: user namespaces are off", "user.max_user_namespaces on the nodes"
        )


def _bind(source: int, place: Path) -> None:
    if stat.S_ISDIR(os.fstat(source).st_mode):
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    _mount(f"/proc/self/fd/{source}", place, _BIND | _RECURSIVE)


def _mount(source: str | None, target: Path, flags: int) -> None:
    origin = None if source is None else source.encode()
    if _libc().mount(origin, str(target).encode(), None, ctypes.c_ulong(flags), None):
        raise BatchError(f"cannot mount: {os.strerror(ctypes.get_errno())}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
