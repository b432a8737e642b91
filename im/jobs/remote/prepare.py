"""Makes one container ready on a node, once, however many ask for it at a time.

``prepare.py REQUEST`` with a JSON object: ``record`` (a file below the home; if it is there, all is done), ``archive``
(a file below the home, or ""; its ``size`` bytes come on stdin unless it is there), ``keep`` (the archive stays),
``account`` (a registry whose account, ``user:password`` in base64, comes on stdin instead of an archive; or ""),
``steps`` and ``discard`` (command lines), ``look`` (a command line that tells about the image in lines of "KEY VALUE",
or nothing), ``facts`` (what the record shall hold besides). Without ``facts`` only the archive is received.
Prints the record as one JSON object, exit code 0; or an object with ``error``, exit code 1.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

LOADED = "{loaded}"
NODE = Path("/var/tmp")  # noqa: S108
"""The node's own disk: what each node fetches for itself need not go through the shared home meanwhile."""


class Failed(Exception):
    """A step failed; the text is for people."""


def receive(path: Path, size: int) -> None:
    """Write what comes on stdin; the file has its name only when it is whole."""
    if path.exists():
        return
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    if part.stat().st_size != size:
        raise Failed(f"the archive broke off after {part.stat().st_size} of {size} bytes")
    part.rename(path)


def keep_account(host: str, auth: str, scratch: Path) -> dict[str, str]:
    """Write the account where each engine looks for it while the steps run; return the variables that say where."""
    if not auth:
        return {}
    names = [host, f"https://{host}", f"http://{host}"]
    if host == "docker.io":
        names += ["https://index.docker.io/v1/", "https://registry-1.docker.io"]
    accounts = {name: {"auth": auth, "email": ""} for name in names}
    for name, content in (("config.json", {"auths": accounts}), ("keystore", accounts)):
        with os.fdopen(os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file)
    return {
        "REGISTRY_AUTH_FILE": str(scratch / "config.json"),
        "DOCKER_CONFIG": str(scratch),
        "UDOCKER_KEYSTORE": str(scratch / "keystore"),
    }


def perform(steps: list[list[str]], scratch: Path, variables: dict[str, str]) -> None:
    """Run the steps in their order; what the first one loaded may be a word of the others."""
    environment = {**os.environ, "TMPDIR": str(scratch), **variables}
    loaded = ""
    for step in steps:
        line = [word.replace(LOADED, loaded) for word in step]
        done = subprocess.run(line, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        output = done.stdout.decode(errors="replace").split("\n")
        if done.returncode:
            told = [text for text in [*output, *done.stderr.decode(errors="replace").split("\n")] if text.strip()]
            raise Failed(f"{title(line)}: {' '.join(told[-3:]) or f'exit code {done.returncode}'}")
        loaded = loaded or name_in(next((text for text in reversed(output) if text.strip()), ""))


def title(line: list[str]) -> str:
    """Return the first words of a command line, but no program that is one of them."""
    return " ".join(takewhile(lambda word: word != "-c", line[:3]))


def name_in(line: str) -> str:
    """Return the image's name in what an engine prints after a load.

    Docker: ``Loaded image: NAME``; udocker: ``NAME``, and for OCI archives ``['NAME']``.
    """
    return line.strip().split(": ")[-1].strip("[]'")


def discard(steps: list[list[str]]) -> None:
    """Run steps whose failure means that there was nothing to do."""
    for step in steps:
        subprocess.run(
            step, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )


def look(line: list[str]) -> dict[str, str]:
    """Return what a command line tells; nothing if it cannot run: an image needs no shell."""
    if not line:
        return {}
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    pairs = (text.partition(" ") for text in done.stdout.decode(errors="replace").splitlines())
    return {key: value for key, space, value in pairs if space}


def prepare(request: dict[str, Any]) -> None:
    """Receive the archive, perform the steps, and write the record: the last thing of all."""
    record = Path.home() / request["record"]
    archive = Path.home() / request["archive"] if request["archive"] else None
    scratch = NODE / f"{record.stem}-{os.getuid()}" if request["keep"] else record.with_suffix(".tmp")
    discard(request["discard"])
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        if archive:
            receive(archive, request["size"])
        host = request["account"]
        perform(request["steps"], scratch, keep_account(host, sys.stdin.read(), scratch) if host else {})
        if archive and not request["keep"]:
            archive.unlink()
    except Failed:
        discard(request["discard"])
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    new = record.with_suffix(".new")
    new.write_text(json.dumps({**request["facts"], "mpi": look(request["look"])}))
    new.rename(record)


def main(text: str) -> int:
    """Hold the lock of this container while looking and working."""
    request = json.loads(text)
    record = Path.home() / request["record"]
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with record.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if "facts" not in request:
                receive(Path.home() / request["archive"], request["size"])
            elif not record.exists():
                prepare(request)
            print(record.read_text() if "facts" in request else "{}")  # noqa: T201
        except (Failed, OSError) as error:
            print(json.dumps({"error": str(error)}))  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
