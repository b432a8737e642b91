"""Binds what was checked, not what a path means by then: in a mount namespace of the job's own, without privileges."""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path

from im_batch import mounts
from im_batch.faults import BatchError

_NEW_MOUNTS, _NEW_USER = 0x20000, 0x10000000
_BIND, _REMOUNT, _READ_ONLY, _RECURSIVE, _PRIVATE = 4096, 32, 1, 16384, 1 << 18
_KEPT = 2 | 4 | 8 | 1024 | 2048
"""Flags of the original mount that the kernel wants to see again: nosuid, nodev, noexec, noatime, nodiratime."""


def bind(wanted: list[mounts.Mount], held: list[int], folder: Path) -> list[tuple[str, str]]:
    """Mount each source below ``folder`` and return the pairs of place and target that a container gets.

    ``held`` are the descriptors of the checked sources. Enters a user and a mount namespace for good: numbers of other
    users look like nobody's there, so owners are checked before. Raises :class:`BatchError`.
    """
    _enter()
    pairs = []
    for number, (mount, descriptor) in enumerate(zip(wanted, held)):  # noqa: B905 - Python 3.9
        place = folder / str(number)
        again = mounts.walk(mount.source, None)
        try:
            _same(descriptor, again, mount.source)
            _make_place(place, again)
            _mount(f"/proc/self/fd/{again}", place, _BIND | _RECURSIVE)
            if mount.read_only:
                kept = os.statvfs(place).f_flag & _KEPT
                _mount(None, place, _BIND | _REMOUNT | _READ_ONLY | kept)
        finally:
            os.close(again)
        pairs.append((str(place), mount.target))
    return pairs


def _enter() -> None:
    user, group = os.getuid(), os.getgid()
    if _libc().unshare(_NEW_USER | _NEW_MOUNTS):
        raise BatchError(
            "this node lets nobody mount: user namespaces are off", "user.max_user_namespaces on the nodes"
        )
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(None, Path("/"), _RECURSIVE | _PRIVATE)


def _same(checked: int, found: int, path: str) -> None:
    first, second = os.fstat(checked), os.fstat(found)
    if (first.st_dev, first.st_ino) != (second.st_dev, second.st_ino):
        raise BatchError(f"{path} was exchanged while it was looked at")


def _make_place(place: Path, source: int) -> None:
    if stat.S_ISDIR(os.fstat(source).st_mode):
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def _mount(source: str | None, target: Path, flags: int) -> None:
    origin = None if source is None else source.encode()
    if _libc().mount(origin, str(target).encode(), None, ctypes.c_ulong(flags), None):
        raise BatchError(f"cannot mount: {os.strerror(ctypes.get_errno())}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
