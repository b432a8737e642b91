"""The state of each point of a scan, as files of the shared home.

Of the folder: ``sweep.json`` (what is wanted), ``points.jsonl``, ``points/N`` (a point's own folder), and per attempt
``attempts/N`` with ``batches.json`` (points that are taken together), ``claims/B`` (who took batch B: made by one
worker only, whatever the file system) and ``results-W.jsonl`` (what worker W did, a line at each start and end).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUNNING, DONE, FAILED, LOST, QUEUED = "running", "done", "failed", "lost", "queued"


class Manifest:
    """One scan's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wanted: dict[str, Any] = json.loads((folder / "sweep.json").read_text())

    def points(self) -> list[dict[str, str]]:
        """Return the parameters of all points."""
        with (self.folder / "points.jsonl").open() as file:
            return [json.loads(line) for line in file]

    def place(self, point: int) -> Path:
        """Return the folder of a point."""
        return self.folder / "points" / str(point)

    def attempts(self) -> list[Path]:
        """Return the attempts, the first one first."""
        found = (self.folder / "attempts").glob("[0-9]*")
        return sorted(found, key=lambda path: int(path.name))

    def states(self) -> dict[int, dict[str, Any]]:
        """Return what is known of each point that was begun: state, exit code, seconds, node, tries."""
        found: dict[int, dict[str, Any]] = {}
        for attempt in self.attempts():
            alive = self.alive(attempt)
            for record in _records(attempt):
                point = record["point"]
                if record["state"] == RUNNING and not alive:
                    record["state"] = LOST
                record["tries"] = found.get(point, {}).get("tries", 0) + (record["state"] in {RUNNING, LOST})
                found[point] = record
        return found

    def alive(self, attempt: Path) -> bool:
        """Tell whether workers of an attempt are at it, or will be."""
        job = attempt / "job"
        if job.exists():
            return _slurm_has(job.read_text())
        try:
            with (attempt / "alive").open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def active(self) -> Path | None:
        """Return the attempt that goes on; None if none does."""
        return next((attempt for attempt in reversed(self.attempts()) if self.alive(attempt)), None)


def _records(attempt: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of all workers; a line that broke off was never written."""
    for path in attempt.glob("results-*.jsonl"):
        with path.open() as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)


def _slurm_has(job: str) -> bool:
    """Tell whether Slurm has a job; where it does not answer, whoever ran its points again could run them twice."""
    import subprocess

    line = ["squeue", "--noheader", "--jobs", job, "--format=%T"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        return "Invalid job id" not in done.stderr
    return bool(done.stdout.strip())


def claim(attempt: Path, batch: int, who: str) -> bool:
    """Take a batch; False if somebody has it."""
    try:
        descriptor = os.open(attempt / "claims" / str(batch), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(who)
    return True


def batches(points: list[int], workers: int) -> list[list[int]]:
    """Divide points into batches that get smaller: few claims at first, and no worker waits long at the end.

    >>> batches(list(range(10)), 1)
    [[0, 1, 2, 3, 4], [5, 6], [7], [8], [9]]
    """
    found = []
    start = 0
    while start < len(points):
        size = max(1, (len(points) - start) // (2 * workers))
        found.append(points[start : start + size])
        start += size
    return found
