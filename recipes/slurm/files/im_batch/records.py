"""The records of ended jobs: a file of Slurm's own on the front-end, of which everyone sees his own lines."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys

from im_batch import places
from im_batch.faults import BatchError

READER = "/usr/local/lib/im/im-batch-records"
"""What users may run as Slurm's own user; it takes no arguments."""


def append(record: dict[str, object]) -> None:
    """Add one line; it is whole or not there."""
    descriptor = os.open(places.RECORDS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(record) + "\n")


def print_own() -> int:
    """Print the records of the user who called us by sudo; root's call prints all."""
    user = int(os.environ["SUDO_UID"])
    if places.RECORDS.exists():
        with places.RECORDS.open() as file:
            for line in file:
                if user == 0 or json.loads(line)["uid"] == user:
                    sys.stdout.write(line)
    return 0


def own() -> list[dict[str, object]]:
    """Return the records of this user's jobs, the oldest first. Raises :class:`BatchError`."""
    done = subprocess.run(["sudo", "-n", "-u", "slurm", READER], capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip().splitlines()
        raise BatchError(f"the records cannot be read: {told[-1] if told else 'no reason given'}", "ask the front-end")
    return [json.loads(line) for line in done.stdout.splitlines()]
