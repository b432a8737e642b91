"""What Slurm calls: ``prolog`` and ``epilog`` as root on each node, ``collect`` as Slurm's own user on the front-end.

Root writes to and removes from its own folders only, and reads one file that a user may have written: it lies in a
folder of root's, so it cannot be a link, and it is data, never code.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from im_batch import places, slurm, usage
from im_batch.faults import BatchError
from im_batch.records import append

_PATIENCE = 60.0
_LONGEST_REPORT = 4096


def hook(name: str) -> int:
    """Run one of them. Slurm takes a node out of service if its hook fails: that must not be, whatever a job did."""
    try:
        return {"prolog": prolog, "epilog": epilog, "collect": collect}[name]()
    except Exception as error:  # noqa: BLE001 - the reason goes to Slurm's log, and the node goes on
        print(f"im-batch {name}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 0


def prolog() -> int:
    """Make the job's scratch folder, and pin its control groups."""
    job, user, _ = _job()
    scratch = places.scratch(job)
    scratch.mkdir(mode=0o711, parents=True, exist_ok=True)
    (scratch / "report").touch(mode=0o600)
    for name in ("tmp", "mounts"):
        (scratch / name).mkdir(mode=0o700, exist_ok=True)
    for path in scratch.iterdir():
        os.chown(path, user, -1, follow_symlinks=False)
    usage.pin(usage.groups(int(job), user))
    for_podman(job, user)
    return 0


def for_podman(job: str, user: int) -> None:
    """Make the user's place for Podman's images, and the job's for its containers; in a folder of root's."""
    place = places.podman()
    if place is None:
        return
    place.mkdir(mode=0o711, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != 0:
        raise BatchError(f"{place} is not root's")
    for folder in (place / f"images-{user}", place / job):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, user, -1, follow_symlinks=False)


def epilog() -> int:
    """Tell the front-end what the job used, and leave nothing of it on the node. Comes after a kill as well."""
    job, user, node = _job()
    scratch = places.scratch(job)
    groups = usage.groups(int(job), user)
    for_docker(job)
    used = usage.read(groups)
    claimed = claims(scratch / "report")
    told = {**asdict(used), **{key: value for key, value in claimed.items() if key != "oom_kills"}}
    kept = claims(scratch / "kept")
    told["oom_kills"] = max(used.oom_kills or 0, claimed.get("oom_kills") or 0, kept.get("oom_kills") or 0)
    usage.unpin(groups)
    shutil.rmtree(scratch, ignore_errors=True)
    if (podman := places.podman()) is not None:
        shutil.rmtree(podman / job, ignore_errors=True)
    send(f"{job}-{node}", told)
    return 0


def for_docker(job: str) -> None:
    """End containers that the job left, and let go what they had mounted; Docker need not answer."""
    from im_batch import binding, dockerd

    with contextlib.suppress(BatchError, OSError):
        for container in dockerd.left(job):
            dockerd.remove(container)
    for folder in (places.BOUND / job).glob("*"):
        binding.let_go(folder)
    with contextlib.suppress(OSError):
        (places.BOUND / job).rmdir()


def claims(report: Path) -> dict[str, int | float]:
    """Return the numbers of the job's own report; anything else that is in it is passed over."""
    allowed = ("code", "started", "ended", "oom_kills", "read_bytes", "written_bytes")
    try:
        with os.fdopen(os.open(report, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            found = json.loads(file.read(_LONGEST_REPORT))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: found[key] for key in allowed if type(found.get(key)) in {int, float}}


def send(name: str, told: dict[str, object]) -> None:
    """Leave a message in the shared home, as Slurm's own user, whom the shared home may know better than root."""
    account = pwd.getpwnam("slurm")
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
            new = places.MAIL / f"{name}.new"
            new.write_text(json.dumps(told))
            new.rename(places.MAIL / f"{name}.json")
        os._exit(0)
    os.waitpid(child, 0)


def _job() -> tuple[str, int, str]:
    environment = os.environ
    return str(int(environment["SLURM_JOB_ID"])), int(environment["SLURM_JOB_UID"]), environment["SLURMD_NODENAME"]


def collect() -> int:
    """Write the record of a job that ended."""
    job = int(os.environ["SLURM_JOB_ID"])
    told = letters(job, hosts(os.environ.get("SLURM_JOB_NODELIST", "")))
    limit = time.monotonic() + _PATIENCE
    known = slurm.show(job)
    while known and not known.over and time.monotonic() < limit:
        time.sleep(0.2)
        known = slurm.show(job)
    if known is None:
        return 0
    record = summary(known, *slurm.texts(job), told)
    append(record)
    if places.settings().get("database"):
        note(record, in_database(job, os.environ))
    return 0


def in_database(job: int, environment: Mapping[str, str]) -> str:
    """Return how Slurm's database calls one job: the number of a task of an array may be that of the whole array."""
    task = environment.get("SLURM_ARRAY_TASK_ID")
    return f"{environment['SLURM_ARRAY_JOB_ID']}_{task}" if task else str(job)


def letters(job: int, nodes: list[str]) -> list[dict[str, object]]:
    """Wait for what the nodes of a job tell, and take it."""
    mails = [places.MAIL / f"{job}-{node}.json" for node in nodes]
    limit = time.monotonic() + _PATIENCE
    while not all(mail.exists() for mail in mails) and time.monotonic() < limit:
        time.sleep(0.1)
    told = []
    for mail in mails:
        with contextlib.suppress(OSError, ValueError):
            told.append(json.loads(mail.read_text()))
            mail.unlink()
    return told


def note(record: dict[str, object], called: str) -> None:
    """Write what Slurm does not count itself beside the job in its database; the job gets there a little later."""
    modify = ("sacctmgr", "--immediate", "--quiet")
    with contextlib.suppress(BatchError):  # he is known already
        slurm.ask(*modify, "add", "user", str(record["user"]), "account=users")
    text = " ".join(f"{key}={record[key]}" for key in _NOTED)
    for _ in range(_TRIES):
        with contextlib.suppress(BatchError):
            slurm.ask(*modify, "modify", "job", f"jobid={called}", "set", f"admincomment={text}")
            return
        time.sleep(1)


_TRIES = 30
_NOTED = ("image", "code", "cpu_seconds", "peak_memory", "read_bytes", "written_bytes", "oom_kills")


def summary(job: slurm.Job, name: str, comment: str, told: list[dict[str, object]]) -> dict[str, object]:
    """Return the record of a job: what Slurm says of it, what its user calls it, and the sum of what its nodes told."""
    words = comment.split(" ", 2)
    ours = len(words) == 3 and words[0] == "im-batch"
    try:
        user = pwd.getpwuid(job.user).pw_name
    except KeyError:
        user = str(job.user)
    return {
        "job": job.number,
        "user": user,
        "uid": job.user,
        "container": words[1] if ours else "",
        "image": words[2] if ours else "",
        "name": name,
        "state": job.state,
        "code": slurm.exit_code(job),
        "started": job.started,
        "ended": job.ended,
        "nodes": job.nodes,
        "cpus": job.cpus,
        "cpu_seconds": _total(told, "cpu_seconds"),
        "peak_memory": max((int(str(each["peak_memory"])) for each in told if each.get("peak_memory")), default=None),
        "read_bytes": _total(told, "read_bytes"),
        "written_bytes": _total(told, "written_bytes"),
        "oom_kills": max(int(_total(told, "oom_kills") or 0), int(job.state == "OUT_OF_MEMORY")),
    }


def _total(told: list[dict[str, object]], key: str) -> float | None:
    found = [float(str(each[key])) for each in told if each.get(key) is not None]
    total = round(sum(found), 3)
    return None if not found else int(total) if total == int(total) else total


def hosts(listing: str) -> list[str]:
    """Return the names in Slurm's short form of a list."""
    if not listing:
        return []
    done = subprocess.run(["scontrol", "show", "hostnames", listing], capture_output=True, text=True, check=False)
    return done.stdout.split()
