"""Ends what a job has left on a node, whatever ended the job.

``ward.py watch ID GRACE CLEAN`` runs on every node of a job for as long as the job does. When its stdin ends, however
that comes (the job is over, its supervisor was killed, the front-end is gone), it ends all processes that carry
``IM_JOB=ID`` in their environment, with their children, runs the command lines of ``CLEAN`` (JSON), and prints how many
processes there were. ``ward.py end ID GRACE [CLEAN]`` does so at once; for root, too: ours may not end another user's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL = 0.05


def processes(root: str = "/proc") -> dict[int, int]:
    """Return all processes: id -> parent's id."""
    found = {}
    for folder in Path(root).glob("[0-9]*"):
        try:
            text = (folder / "stat").read_bytes()
        except OSError:
            continue  # it has ended
        state, parent = text[text.rindex(b")") + 2 :].split()[:2]
        if state not in b"ZX":
            found[int(folder.name)] = int(parent)
    return found


def marked(job: str, root: str = "/proc") -> set[int]:
    """Return the processes that carry the job's mark, with all their descendants; never ourselves."""
    mark = f"IM_JOB={job}".encode()
    parents = processes(root)
    members = {process for process in parents if mark in _environment(root, process)}
    while True:
        children = {process for process, parent in parents.items() if parent in members} - members
        if not children:
            return members - {os.getpid()}
        members |= children


def _environment(root: str, process: int) -> list[bytes]:
    try:
        return Path(root, str(process), "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # it has ended, or is not ours


def sweep(job: str, grace: float) -> int:
    """End everything that is marked: TERM, after ``grace`` seconds KILL. Return how many processes there were.

    It takes two looks without a find to be done: a process that is in the middle of an ``exec`` shows no environment.
    """
    seen: set[int] = set()
    clean = False
    start = time.monotonic()
    while time.monotonic() < start + grace + 10:
        left = marked(job)
        if clean and not left:
            break
        clean = not left
        wanted = signal.SIGTERM if time.monotonic() < start + grace else signal.SIGKILL
        for process in left if wanted == signal.SIGKILL else left - seen:
            with contextlib.suppress(OSError):  # it has ended
                os.kill(process, wanted)
        seen |= left
        time.sleep(POLL)
    return len(seen)


def perform_all(lines: list[list[str]]) -> None:
    """Run command lines whose outcome does not matter."""
    for line in lines:
        quiet = subprocess.DEVNULL
        subprocess.run(line, stdin=quiet, stdout=quiet, stderr=quiet, check=False)


def watch() -> None:
    """Wait for the end of stdin, and for nothing else."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass


def main(order: str, job: str, grace: str, clean: str = "[]") -> int:
    """Sweep, at once or when it is time, and let the container engine clean up; return 1 if there was something."""
    if order == "watch":
        watch()
    left = sweep(job, float(grace))
    perform_all(json.loads(clean))
    with contextlib.suppress(OSError):  # nobody may be left to be told
        os.write(1, str(left).encode())
    return min(left, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
