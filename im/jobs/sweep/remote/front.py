"""Runs on the front-end for a scan: starts its workers, tells how it goes, ends it.

``front FOLDER start [failed] | pool ATTEMPT | status | table | cancel``
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from im.jobs.sweep.remote.manifest import DONE, FAILED, LOST, QUEUED, RUNNING, Manifest, batches

_SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")


def program(name: str, folder: Path) -> list[str]:
    """Return the command line of one of these programs; they lie beside the scan."""
    return ["env", f"PYTHONPATH={folder}/front", "python3", "-m", f"im.jobs.sweep.remote.{name}"]


def start(manifest: Manifest, which: str) -> dict[str, Any]:
    """Begin an attempt at the points that are not done: those never run or lost, or with ``failed`` only those."""
    if manifest.active():
        return {"error": "the scan is running", "hint": "wait for its end, or cancel it"}
    states = manifest.states()
    wanted = {FAILED} if which == "failed" else {QUEUED, LOST}
    points = [
        point for point in range(manifest.wanted["points"]) if states.get(point, {}).get("state", QUEUED) in wanted
    ]
    if not points:
        return {"started": 0}
    slots = sum(slots for _, slots in manifest.wanted["nodes"])
    workers = min(len(points), manifest.wanted["at_most"] or slots, slots)
    if not workers:
        return {"error": "no node takes work", "hint": "add working nodes"}
    attempt = manifest.folder / "attempts" / str(len(manifest.attempts()) + 1)
    (attempt / "claims").mkdir(parents=True)
    (attempt / "batches.json").write_text(json.dumps(batches(points, workers)))
    (attempt / "workers").write_text(str(workers))
    by = "slurm" if shutil.which("sbatch") else "pool"
    error = submit(manifest, attempt, workers) if by == "slurm" else spawn(manifest, attempt)
    if error:
        shutil.rmtree(attempt)
        return {"error": error}
    return {"started": len(points), "workers": workers, "by": by}


def submit(manifest: Manifest, attempt: Path, workers: int) -> str:
    """Hand the workers to Slurm as one array; return what went wrong."""
    folder = manifest.folder
    memory, name = manifest.wanted["memory"], manifest.wanted["id"]
    line = [
        *("sbatch", "--parsable", f"--array=0-{workers - 1}", "--ntasks=1", "--cpus-per-task=1", "--no-requeue"),
        *((f"--mem={memory}",) if memory else ()),
        *(f"--job-name=sweep-{name}", f"--comment=im-batch {name} {manifest.wanted['image']}", f"--chdir={folder}"),
        f"--output={attempt}/worker-%a.log",
    ]
    script = f'#!/bin/sh\nexec {shlex.join(program("worker", folder))} {folder} {attempt.name} "$SLURM_ARRAY_TASK_ID"\n'
    done = subprocess.run(line, input=script.encode(), capture_output=True, check=False)
    if done.returncode:
        return str(done.stderr.decode().strip().splitlines()[-1])
    (attempt / "job").write_text(done.stdout.decode().strip().split(";")[0])
    return ""


def spawn(manifest: Manifest, attempt: Path) -> str:
    """Start the pool, which goes on without us."""
    line = [*program("front", manifest.folder), str(manifest.folder), "pool", attempt.name]
    with (attempt / "pool.log").open("w") as log:
        subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    limit = time.monotonic() + 10
    while not manifest.alive(attempt):
        if time.monotonic() > limit:
            return "the pool of workers did not start"
        time.sleep(0.02)
    return ""


def pool(manifest: Manifest, attempt: Path) -> int:
    """Keep a worker on every slot until the work is done; they end when we do, however that comes."""
    alive = (attempt / "alive").open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    alive.write(str(os.getpid()))
    alive.flush()
    places = [(node, i) for node, slots in manifest.wanted["nodes"] for i in range(slots)]
    places.sort(key=lambda place: place[1])
    line = [*program("worker", manifest.folder), "--attached", str(manifest.folder), attempt.name]
    workers = [
        subprocess.Popen(
            [*(() if node == manifest.wanted["here"] else (*_SSH, node)), *line, str(number)],
            stdin=subprocess.PIPE,
        )
        for number, (node, _) in enumerate(places[: int((attempt / "workers").read_text())])
    ]
    return max(worker.wait() for worker in workers)


def status(manifest: Manifest) -> dict[str, Any]:
    """Return how the scan stands."""
    states = manifest.states()
    counts = Counter(record["state"] for record in states.values())
    total = manifest.wanted["points"]
    active = manifest.active()
    ended = [record for record in states.values() if record["state"] in {DONE, FAILED}]
    queued = total - len(states)
    over = counts[DONE] + counts[FAILED] == total
    return {
        "id": manifest.wanted["id"],
        "image": manifest.wanted["image"],
        "state": "running" if active else "finished" if over else "stopped",
        "points": total,
        **{state: counts[state] for state in (DONE, FAILED, RUNNING, LOST)},
        QUEUED: queued,
        "left": estimate(ended, total - len(ended), active),
        "trouble": trouble(active or next(reversed(manifest.attempts()), None)),
    }


def estimate(ended: list[dict[str, Any]], left: int, active: Any) -> Any:  # noqa: ANN401 - seconds, or None
    """Return the seconds that the rest will take at the pace of the last points; None if nobody can tell."""
    if active is None or not left:
        return None
    since = (active / "batches.json").stat().st_mtime
    times = sorted(record["at"] for record in ended if record["at"] >= since)[-500:]
    if len(times) < 2:
        return None
    begin = times[0] if len(times) == 500 else since
    return round(left * max(0.001, time.time() - begin) / len(times))


def trouble(attempt: Any) -> str:  # noqa: ANN401 - a path, or None
    """Return the last line that a worker or Slurm complained with."""
    for log in sorted(attempt.glob("*.log")) if attempt else ():
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return str(lines[-1])
    return ""


def table(manifest: Manifest) -> None:
    """Write ``results.csv``: a line per point, parameters first."""
    states = manifest.states()
    points = manifest.points()
    with (manifest.folder / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["point", *points[0], "state", "code", "check", "seconds", "node", "tries"])
        for number, values in enumerate(points):
            known = states.get(number, {"state": QUEUED})
            more = (known.get(key, "") for key in ("state", "code", "check", "seconds", "node", "tries"))
            writer.writerow([number, *values.values(), *more])


def cancel(manifest: Manifest) -> dict[str, Any]:
    """End the workers. What they had begun counts as lost, and a later start runs it again."""
    active = manifest.active()
    if active is None:
        return {"cancelled": False}
    job = active / "job"
    if job.exists():
        subprocess.run(["scancel", job.read_text()], check=False)
    else:
        os.kill(int((active / "alive").read_text()), signal.SIGTERM)
    limit = time.monotonic() + 60
    while manifest.alive(active) and time.monotonic() < limit:
        time.sleep(0.1)
    return {"cancelled": True}


def main(words: list[str]) -> int:
    """Do one of the things; answers are JSON."""
    manifest = Manifest(Path(words[0]))
    if words[1] == "pool":
        return pool(manifest, manifest.folder / "attempts" / words[2])
    answer: dict[str, Any] = {}
    if words[1] == "start":
        answer = start(manifest, "".join(words[2:]))
        if "error" in answer and not manifest.attempts():
            shutil.rmtree(manifest.folder)  # it was never begun: there is nothing to go on with
    elif words[1] == "status":
        answer = status(manifest)
    elif words[1] == "cancel":
        answer = cancel(manifest)
    else:
        table(manifest)
    print(json.dumps(answer))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
