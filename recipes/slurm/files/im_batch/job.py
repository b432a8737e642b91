"""Runs on a node as the job's script, as the user: the container, within the job's control group and limits."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from im_batch import binding, container, mounts, places, processes, usage
from im_batch.faults import BatchError

_NO_NEW_PRIVILEGES = 38
OUR_FAULT = 125


def main(folder: Path) -> int:
    """Run the container of ``folder`` and return its exit code, 125 where it could not be started."""
    give_up_privileges()
    started = time.time()
    try:
        wanted = json.loads((folder / "container.json").read_text())
        code = run(prepare(wanted))
    except (BatchError, OSError, KeyError, ValueError) as error:
        print(f"im-batch: {error}", file=sys.stderr)  # noqa: T201
        code = OUR_FAULT
    report = {"code": code, "started": started, "ended": time.time(), **counted()}
    with contextlib.suppress(OSError, KeyError):  # a job without our hooks has no such file
        (places.scratch(os.environ["SLURM_JOB_ID"]) / "report").write_text(json.dumps(report))
    new = folder / "result.new"
    new.write_text(json.dumps(report))
    new.rename(folder / "result.json")
    return code


def give_up_privileges() -> None:
    """From here on, no program that this process starts gains anything by set-user-id bits or file capabilities."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not give up privileges")


def prepare(wanted: dict[str, Any]) -> list[str]:
    """Check and bind the mounts, and return the container's command line."""
    scratch = places.scratch(os.environ["SLURM_JOB_ID"])
    pairs = [(str(scratch / "tmp"), "/tmp")]  # noqa: S108
    if wanted["mounts"]:
        pairs += _bound([mounts.Mount(**each) for each in wanted["mounts"]], scratch / "mounts")
    name = wanted["container"]
    config = container.configuration(name)
    own = dict(text.split("=", 1) for text in config.get("Env") or [] if "=" in text)
    words = container.program(config, wanted["command"], wanted["entrypoint"])
    return container.command_line(
        name,
        words,
        mounts=pairs,
        variables={**own, **wanted["variables"], **inherited()},
        directory=wanted["directory"] or str(config.get("WorkingDir") or "/"),
    )


def _bound(wanted: list[mounts.Mount], folder: Path) -> list[tuple[str, str]]:
    roots, user = places.mount_roots(), os.getuid()
    return binding.bind(wanted, [mounts.check(mount, roots, user) for mount in wanted], folder)


def inherited() -> dict[str, str]:
    """Return the variables by which a program learns of its job."""
    known = ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "SLURM_JOB_NODELIST", "SLURM_MEM_PER_NODE")
    return {name: os.environ[name] for name in known if name in os.environ}


def run(line: list[str]) -> int:
    """Run the container to its end; we stay whatever comes, to write down how it went.

    TERM goes on to the program alone, and USR1 means to end it by force.
    """
    child = subprocess.Popen(line, stdin=subprocess.DEVNULL)
    wrapped = tuple(container.WAIT) == tuple(line)[line.index("/bin/sh") :][:4] if "/bin/sh" in line else False

    def polite(*_: object) -> None:
        processes.signal_all(processes.program(child.pid, wrapped=wrapped), signal.SIGTERM)

    def force(*_: object) -> None:
        processes.signal_all(processes.program(child.pid, wrapped=wrapped), signal.SIGKILL)

    for number, handler in ((signal.SIGTERM, polite), (signal.SIGUSR1, force)):
        signal.signal(number, handler)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    code = child.wait()
    return code if code >= 0 else 128 - code


def counted() -> dict[str, int | None]:
    """Return the bytes that our ended children read and wrote, and how often memory ran out."""
    found: dict[str, int | None] = {"oom_kills": usage.own_oom_kills(), "read_bytes": None, "written_bytes": None}
    with contextlib.suppress(OSError, ValueError):
        lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        found["read_bytes"], found["written_bytes"] = int(lines["read_bytes"]), int(lines["write_bytes"])
    return found
