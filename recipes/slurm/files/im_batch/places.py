"""Where things are: the user's own folders in the shared home, and root's on the node and the front-end."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

NODE = Path("/var/lib/im/jobs")
"""On each node, root's: a folder per job, with the user's ``tmp``, ``mounts`` and the file ``report``."""

MAIL = Path("/home/.im/batch")
"""In the shared home, Slurm's own: what nodes tell the front-end about jobs that ended."""

RECORDS = Path("/var/lib/im/batch/records.jsonl")
"""On the front-end, Slurm's own: a line per job."""

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
