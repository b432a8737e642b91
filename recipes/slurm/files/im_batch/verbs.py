"""What users do with containers of the batch system. Everything here runs as the user, on the front-end."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from im_batch import places, slurm
from im_batch.faults import BatchError
from im_batch.mounts import Mount

_LAUNCHER = "/usr/local/bin/im-batch"


@dataclass(frozen=True)
class Wanted:
    """One container as its user wants it; ``memory`` is Slurm's form (``512M``), ``time`` as well (``1-12:00:00``)."""

    image: str
    container: str
    command: list[str]
    engine: str = "udocker"
    name: str = ""
    entrypoint: str | None = None
    directory: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    cpus: int = 1
    memory: str = ""
    time: str = ""

    def as_dict(self) -> dict[str, object]:
        """The JSON form, which the job reads."""
        return {**self.__dict__, "mounts": [mount.as_dict() for mount in self.mounts]}


@dataclass(frozen=True)
class Container:
    """A container of this user: its folder, what was wanted, its job, and how it ended (None: not yet told)."""

    folder: Path
    wanted: dict[str, object]
    job: int
    created: float
    result: dict[str, float] | None

    @property
    def identifier(self) -> str:
        """The container's id."""
        return self.folder.name


def submit(wanted: Wanted) -> str:
    """Hand the container to Slurm and return its id. Raises :class:`BatchError`."""
    if wanted.name and any(each.wanted["name"] == wanted.name for each in mine()):
        raise BatchError(f"you have a container {wanted.name} already", f"im-batch rm {wanted.name}, or another name")
    places.containers().mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = places.containers() / secrets.token_hex(6)
    folder.mkdir(mode=0o700)
    (folder / "container.json").write_text(json.dumps(wanted.as_dict()))
    try:
        job = slurm.ask(*_sbatch(wanted, folder), text=f"#!/bin/sh\nexec {_LAUNCHER} job {folder}\n")
        (folder / "job").write_text(job.strip().split(";")[0])
    except BatchError:
        shutil.rmtree(folder)
        raise
    return folder.name


def _sbatch(wanted: Wanted, folder: Path) -> list[str]:
    limits = [f"--cpus-per-task={wanted.cpus}", *((f"--mem={wanted.memory}",) if wanted.memory else ())]
    return [
        *("sbatch", "--parsable", "--no-requeue", "--ntasks=1", *limits),
        *((f"--time={wanted.time}",) if wanted.time else ()),
        f"--job-name={wanted.name or folder.name}",
        f"--comment=im-batch {folder.name} {wanted.image}",
        f"--chdir={folder}",
        *("--output=stdout", "--error=stderr", "--export=HOME,USER,LOGNAME,PATH,LANG"),
    ]


def mine() -> list[Container]:
    """Return this user's containers, the oldest first. A folder that somebody spoilt is none."""
    found = []
    for folder in places.containers().glob("*"):
        with contextlib.suppress(OSError, ValueError):
            found.append(_read(folder))
    return sorted(found, key=lambda each: each.created)


def _read(folder: Path) -> Container:
    result = None
    with contextlib.suppress(OSError, ValueError):
        result = json.loads((folder / "result.json").read_text())
    return Container(
        folder,
        json.loads((folder / "container.json").read_text()),
        int((folder / "job").read_text()),
        (folder / "job").stat().st_mtime,
        result if isinstance(result, dict) else None,
    )


def find(text: str) -> Container:
    """Return the container of that id (or its beginning), name or job number. Raises :class:`BatchError`."""
    known = mine()
    exact = [each for each in known if text in {each.identifier, str(each.wanted["name"]), str(each.job)}]
    found = exact or [each for each in known if text and each.identifier.startswith(text)]
    if len(found) != 1:
        told = f"several containers begin with {text!r}" if found else f"you have no container {text!r}"
        raise BatchError(told, "see: im-batch ps --all")
    return found[0]


def ended(container: Container) -> int | None:
    """Return the exit code of a container, None while it has none. A job that was killed outright left none itself."""
    result = _read(container.folder).result
    if result is not None:
        return int(result["code"])
    known = slurm.show(container.job)
    if known:
        return slurm.exit_code(known) if known.over else None
    return next((int(str(each["code"])) for each in _records() if each["job"] == container.job), 137)


def _records() -> list[dict[str, object]]:
    from im_batch.records import own

    return own()


def follow(container: Container, *, wait: bool = True) -> int | None:
    """Write both outputs as they grow; until the container ends if ``wait``. Return its exit code, if it has one."""
    streams = [(container.folder / "stdout", sys.stdout.buffer), (container.folder / "stderr", sys.stderr.buffer)]
    seen = [0, 0]
    asked = 0.0
    code = None
    while True:
        if (container.folder / "result.json").is_file() or time.monotonic() - asked > 2:
            code, asked = ended(container), time.monotonic()
        for index, (path, stream) in enumerate(streams):
            seen[index] += _copy(path, seen[index], stream)
        if code is not None or not wait:
            return code
        time.sleep(0.1)


def _copy(path: Path, start: int, stream) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    try:
        with path.open("rb") as file:
            file.seek(start)
            shutil.copyfileobj(file, stream)
            stream.flush()
            return file.tell() - start
    except FileNotFoundError:
        return 0


def stop(container: Container, patience: float = 10) -> None:
    """End a container's program: politely, after ``patience`` seconds by force. Nothing happens if it has ended."""
    known = slurm.show(container.job)
    if not known or known.over:
        return
    if known.state != "RUNNING":
        slurm.ask("scancel", str(container.job))
        return
    orders = (("--batch", "TERM", patience), ("--batch", "USR1", 5.0), ("--full", "KILL", 5.0))
    for to, signal, seconds in orders:
        slurm.ask("scancel", f"--signal={signal}", to, str(container.job))
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if ended(container) is not None:
                return
            time.sleep(0.2)


def remove(container: Container, *, force: bool = False) -> None:
    """Forget a container that has ended; with ``force``, end it first. Raises :class:`BatchError`."""
    if ended(container) is None:
        if not force:
            raise BatchError(f"container {container.identifier} is not over", "im-batch stop it first, or rm --force")
        stop(container, 0)
    shutil.rmtree(container.folder)


def listing(*, everything: bool = False) -> list[dict[str, object]]:
    """Return what ``ps`` shows: the containers that are not over, or all."""
    states = slurm.states(os.getuid())
    rows = [_row(container, states.get(container.job)) for container in mine()]
    return [row for row in rows if everything or row["code"] is None]


def _row(container: Container, known: tuple[str, str] | None) -> dict[str, object]:
    state, place = known or ("", "")
    code = None
    if container.result is not None or not known or state in slurm.OVER:
        code = ended(container)
    status = f"Exited ({code})" if code is not None else f"{state.capitalize()} {place}".strip()
    command = container.wanted["command"]
    return {
        "id": container.identifier,
        "name": container.wanted["name"],
        "image": container.wanted["image"],
        "command": " ".join(map(str, command)) if isinstance(command, list) else "",
        "created": int(container.created),
        "job": container.job,
        "status": status,
        "code": code,
    }
