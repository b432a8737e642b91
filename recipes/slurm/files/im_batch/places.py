"""Where things are: the user's own folders in the shared home, and root's on the node and the front-end."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path
from typing import Any

NODE = Path("/var/lib/im/jobs")
"""On each node, root's: a folder per job, with the user's ``tmp``, ``mounts`` and the file ``report``."""

MAIL = Path("/home/.im/batch")
"""In the shared home, Slurm's own: what nodes tell the front-end about jobs that ended."""

RECORDS = Path("/var/lib/im/batch/records.jsonl")
"""On the front-end, Slurm's own: a line per job."""

BOUND = Path("/run/im/batch")
"""On each node, root's: per job, what Docker's containers mount is bound here."""

ENTRY = """\
import sys; sys.path.insert(0, "/usr/local/lib/im"); from im_batch.cli import main; sys.exit(main())"""
"""Python's words that start us."""

SETTINGS = Path("/etc/im/batch.json")


def settings() -> dict[str, Any]:
    """Return what the recipe wrote down for this sub-cluster."""
    known: dict[str, Any] = json.loads(SETTINGS.read_text())
    return known


def mount_roots() -> tuple[str, ...]:
    """Return the folders that this user may mount from."""
    return (*map(str, settings()["mounts"]), str(home()))


def home() -> Path:
    """Return the user's home as the system knows it, whatever the environment says."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def containers() -> Path:
    """Return the folder of this user's containers."""
    return home() / ".im" / "batch"


def scratch(job: str) -> Path:
    """Return root's folder of a job on this node."""
    return NODE / str(int(job))


_PODMAN = Path("/etc/im/podman-storage.conf")


def podman() -> Path | None:
    """Return root's folder for Podman's stores: ``images-UID`` per user, and one per job; None without Podman."""
    store = _podman("graphroot")
    return Path(store).parents[1] / "im-batch-podman" if store else None


def podman_driver() -> str:
    """Return the storage driver that the recipe found to work on this node."""
    return _podman("driver")


def _podman(key: str) -> str:
    if not _PODMAN.exists():
        return ""
    found = re.search(rf'^{key} = "(.*)"$', _PODMAN.read_text(), re.MULTILINE)
    return found[1] if found else ""
