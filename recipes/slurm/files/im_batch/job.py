"""Runs on a node as the job's script, as the user: the container, within the job's control group and limits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from im_batch import docker, places, podman, processes, udocker, usage
from im_batch.faults import BatchError

OUR_FAULT = 125
LOST = 255
"""What Podman says of a container whose end it could not see: its own processes count against the job's memory too."""


class Engine(Protocol):
    """A way to run the job's container; ``BELOW_US``: it is of our children, so the kernel adds their bytes to ours."""

    BELOW_US: bool

    def start(self, wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
        """Start the container, as the user, within the job's limits, without new privileges."""

    def tell(self, process: subprocess.Popen[bytes], number: int) -> None:
        """Send a signal to the container's program."""


ENGINES: dict[str, Engine] = {"udocker": udocker, "podman": podman, "docker": docker}


def main(folder: Path) -> int:
    """Run the container of ``folder`` and return its exit code, 125 where it could not be started."""
    report: dict[str, float | None] = {"code": OUR_FAULT, "started": time.time()}
    try:
        wanted = json.loads((folder / "container.json").read_text())
        wanted["variables"] = {**wanted["variables"], **inherited()}
        report.update(run(ENGINES[wanted["engine"]], wanted))
    except (BatchError, OSError, KeyError, ValueError) as error:
        print(f"im-batch: {error}", file=sys.stderr)  # noqa: T201
    report.update(ended=time.time(), oom_kills=usage.own_oom_kills())
    if report["code"] == LOST and report["oom_kills"]:
        report["code"] = 128 + signal.SIGKILL
    with contextlib.suppress(OSError, KeyError):  # a job without our hooks has no such file
        (places.scratch(os.environ["SLURM_JOB_ID"]) / "report").write_text(json.dumps(report))
    new = folder / "result.new"
    new.write_text(json.dumps(report))
    new.rename(folder / "result.json")
    return int(report["code"] or 0)


def inherited() -> dict[str, str]:
    """Return the variables by which a program learns of its job."""
    known = ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "SLURM_JOB_NODELIST", "SLURM_MEM_PER_NODE")
    return {name: os.environ[name] for name in known if name in os.environ}


def run(engine: Engine, wanted: dict[str, Any]) -> dict[str, int]:
    """Run the container to its end, and return its exit code and how many bytes it read and wrote, if we can know.

    We stay whatever comes, to write it down. TERM goes on to the program alone, and USR1 means to end it by force.
    """
    process = engine.start(wanted)
    before = transferred()  # an image that was made ready just now
    for number, order in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGUSR1, signal.SIGKILL)):
        signal.signal(number, lambda *_, order=order: engine.tell(process, order))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    code = process.wait()
    processes.reap()
    moved = {key: value - before[key] for key, value in transferred().items()} if engine.BELOW_US else {}
    return {"code": code if code >= 0 else 128 - code, **moved}


def transferred() -> dict[str, int]:
    """Return the bytes that we and our ended children read and wrote."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return {"read_bytes": int(lines["read_bytes"]), "written_bytes": int(lines["write_bytes"])}
