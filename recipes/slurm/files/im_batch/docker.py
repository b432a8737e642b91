"""Docker, from the job: its daemon is root's, so a program of root's asks it, to which the job only gives orders."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from im_batch.faults import BatchError

KEEPER = "/usr/local/lib/im/im-batch-keeper"
"""What users may run as root; it takes no arguments, and finds out by itself whose job it is in."""
BELOW_US = False


def start(wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Have the container started; its end is the process's. Raises :class:`BatchError`."""
    if not Path("/usr/bin/docker").exists():
        raise BatchError("this node has no Docker", "add im.nodes.Docker to its group, or take another engine")
    process = subprocess.Popen(["sudo", "-n", KEEPER], stdin=subprocess.PIPE)
    _write(process, json.dumps(wanted))
    return process


def tell(process: subprocess.Popen[bytes], number: int) -> None:
    """Have a signal sent to the container's program."""
    _write(process, signal.Signals(number).name)


def _write(process: subprocess.Popen[bytes], line: str) -> None:
    with contextlib.suppress(OSError):
        process.stdin.write(f"{line}\n".encode())  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
