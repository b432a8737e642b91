"""Running this machine's own tools, and saying in our errors what the machine refused."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from im.errors import NoCapacity, NotPermitted, ProviderError

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the operating system refuses into our errors; also a decorator."""
    try:
        yield
    except OSError as error:
        raise _translation(error) from error


def _translation(error: OSError) -> ProviderError:
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoCapacity(f"the disk is full: {what}", where="local", hint="free some space, or use a larger IM_HOME")
    if error.errno in {errno.EPERM, errno.EACCES, errno.EROFS}:
        hint = "provider local needs root of the machine itself; a container's root needs --privileged"
        return NotPermitted(what, where="local", hint=hint)
    return ProviderError(what, where="local")


def run(argv: Sequence[str], text: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a tool with ``text`` on its standard input. Raises :class:`im.errors.ProviderError` with its complaint."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    except FileNotFoundError as error:
        raise ProviderError(f"{argv[0]} is not installed", where="local", hint=f"apt-get install {argv[0]}") from error
    if check and done.returncode:
        raise ProviderError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}", where="local")
    return done


def ip(*lines: str, namespace: Path | None = None, force: bool = False) -> str:
    """Run ``ip`` commands in one process; with ``force`` go on after a failing one. Return what it complained about."""
    argv = [*_inside(namespace), "ip", *(["-force"] if force else []), "-batch", "-"]
    return run(argv, "\n".join([*lines, ""]), check=not force).stderr.strip()


def ip_json(*words: str, namespace: Path | None = None) -> list[dict[str, Any]]:
    """Return what an ``ip … show`` says; nothing where the thing that it asks about does not exist."""
    done = run([*_inside(namespace), "ip", "-json", *words], check=False)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def _inside(namespace: Path | None) -> list[str]:
    """Return the words before a command that is to run in the network namespace which a file holds."""
    return ["nsenter", f"--net={namespace}", "--"] if namespace else []
