"""Folders of the node that a container sees: what a user may mount, checked component by component as that user.

A path is opened from the root on, each component below the one before and never through a symbolic link. Every folder
on the way must be root's or the user's own, and nobody else may exchange what is in it: then the path cannot come to
mean something else between this check and the container's start.
"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from im_batch import places
from im_batch.faults import BatchError

_RESERVED = ("/proc", "/sys", "/dev")


@dataclass(frozen=True)
class Mount:
    """A folder or file of the node, and where the container sees it."""

    source: str
    target: str
    read_only: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}" + (":ro" if self.read_only else "")

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return asdict(self)


def parse(text: str) -> Mount:
    """Read ``SOURCE:TARGET[:ro|rw]``. Raises :class:`BatchError`."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if mode not in {"", "ro", "rw"} or not target:
        raise BatchError(f"{text!r} is no mount", "SOURCE:TARGET, or SOURCE:TARGET:ro")
    for path in (source, target):
        plain = str(PurePosixPath(path))
        if not path.startswith("/") or ".." in PurePosixPath(path).parts or plain.startswith("//"):
            raise BatchError(f"{path!r} is no absolute path", "mounts have no relative parts and no ..")
    if target == "/" or _below(target, _RESERVED):
        raise BatchError(f"nothing can be mounted on {target} of a container")
    return Mount(str(PurePosixPath(source)), str(PurePosixPath(target)), mode == "ro")


def _below(path: str, folders: tuple[str, ...]) -> bool:
    """Tell by components whether a path is one of the folders or in one: /home/ann2 is not in /home/ann."""
    parts = PurePosixPath(path).parts
    return any(parts[: len(PurePosixPath(folder).parts)] == PurePosixPath(folder).parts for folder in folders)


def check(mount: Mount, roots: tuple[str, ...], user: int) -> int:
    """Return a descriptor of the source, which the caller closes. Raises :class:`BatchError`.

    ``roots``: folders that users may mount from; ``user``: who asks.
    """
    if not _below(mount.source, roots):
        raise BatchError(f"{mount.source} must not be mounted", f"what may be: {', '.join(roots)}, and what is in them")
    return walk(mount.source, user)


def checked(wanted: list[dict[str, Any]]) -> list[int]:
    """Check all mounts of a job as the user who we are; return the descriptors. Raises :class:`BatchError`."""
    return [check(Mount(**each), places.mount_roots(), os.getuid()) for each in wanted]


def walk(path: str, user: int | None) -> int:
    """Open ``path`` component by component and return its descriptor. Raises :class:`BatchError`.

    ``user`` None: owners do not matter.
    """
    parts = PurePosixPath(path).parts
    held = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        for index, part in enumerate(parts[1:], 1):
            so_far = str(PurePosixPath(*parts[: index + 1]))
            if user is not None:
                _steady(held, str(PurePosixPath(*parts[:index])), user)
            held = _step(held, part, so_far)
        _readable(held, path)
    except BaseException:
        os.close(held)
        raise
    return held


def _step(folder: int, name: str, path: str) -> int:
    """Open one component below ``folder``, which is closed."""
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        raise BatchError(f"{path} cannot be mounted: {(error.strerror or '').lower()}") from None
    if stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        raise BatchError(f"{path} is a symbolic link", "mount what it points to")
    os.close(folder)
    return found


def _steady(folder: int, path: str, user: int) -> None:
    """Nobody but root and the user may exchange what is in this folder."""
    status = os.fstat(folder)
    loose = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    if status.st_uid not in {0, user} or loose:
        raise BatchError(f"others can exchange what is in {path}", f"mount {path} itself, or a folder of your own")


def _readable(held: int, path: str) -> None:
    if not os.access(f"/proc/self/fd/{held}", os.R_OK):
        raise BatchError(f"{path} may not be read by you")
