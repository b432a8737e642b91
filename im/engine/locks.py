"""One process at a time works on an infrastructure; the others are told who it is.

The lock is the kernel's (``flock``): it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from socket import gethostname

from im import events
from im.errors import Held, StoreError

DOING = {
    "deploy": "being deployed",
    "scale": "being resized",
    "delete": "being deleted",
    "stop": "being stopped",
    "start": "being started",
}


@contextmanager
def held(folder: Path, name: str, verb: str) -> Iterator[None]:
    """Hold the infrastructure ``name`` while ``verb`` is done.

    Raises :class:`im.errors.Held` if another process has it.
    """
    path = folder / f"{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = _acquire(path, name)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror}") from error
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(_who(name, verb)).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def holder(folder: Path, name: str) -> str:
    """Return in words who works on the infrastructure now, "" for nobody."""
    try:
        with (folder / f"{name}.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return ""
    except BlockingIOError:
        return _words((folder / f"{name}.lock").read_bytes())
    return ""


def _acquire(path: Path, name: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content = os.read(descriptor, 4096)
            os.close(descriptor)
            raise _held(name, content) from None
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # the last holder removed the file between our two calls


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _who(name: str, verb: str) -> dict[str, object]:
    """Who we are; of the command line only what cannot be a secret."""
    command = f"{Path(sys.argv[0]).name} {verb} {name}"
    return {
        "pid": os.getpid(),
        "host": gethostname(),
        "verb": verb,
        "command": command,
        "since": events.now().isoformat(),
    }


def _held(name: str, content: bytes) -> Held:
    return Held(f"{name} is {_words(content)}", hint="wait until that is done, then run your command again")


def _words(content: bytes) -> str:
    try:
        who = json.loads(content)
        since = datetime.fromisoformat(who["since"]).astimezone().strftime("%H:%M")
        doing = DOING.get(who["verb"], "being worked on")
        return f"{doing} by process {who['pid']} on host {who['host']} since {since} ({who['command']})"
    except (ValueError, KeyError):
        return "being worked on by another process"
