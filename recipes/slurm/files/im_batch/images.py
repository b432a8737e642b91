"""Images in the user's home, once: as containers of udocker, or as archives for other engines."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from im_batch.faults import BatchError
from im_batch.places import home
from im_batch.udocker import container_folder as folder


def kept(container: str) -> Path | None:
    """Return the archive in the home that an image's container is made of; None for what a registry holds."""
    return next((home() / ".im/images").glob(f"{container[3:]}*.tar"), None)


def keep(image: str) -> str:
    """Keep an archive in the shared home, where every node finds it; return the name of the image's containers."""
    archive = Path(image)
    if not archive.is_file():
        return f"im-{hashlib.sha256(image.encode()).hexdigest()[:16]}"
    digest = _digest(archive)
    target = home() / f".im/images/{digest}.tar"
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not target.exists():
        part = target.with_suffix(f".{os.getpid()}")
        shutil.copyfile(archive, part)
        part.rename(target)
    return f"im-{digest[:16]}"


def prepared(image: str) -> str:
    """Return the container of ``image``; it is made if it is not there. Raises :class:`BatchError`."""
    for record in (home() / ".im/images").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(record.read_text())
            container = f"im-{str(known['digest'])[:16]}"
            if known.get("image") == image and known.get("engine") == "udocker" and folder(container).exists():
                return container
    archive = Path(image)
    if not archive.is_file():
        return _make(image, hashlib.sha256(image.encode()).hexdigest(), _pull(image))
    return _make(str(archive.resolve()), _digest(archive), _load(archive))


def _digest(archive: Path) -> str:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _pull(image: str) -> list[list[str]]:
    scheme, separator, rest = image.rpartition("://")
    host, slash, repository = rest.partition("/")
    if slash and (separator or ":" in host or host == "localhost"):
        options, name = [f"--registry={scheme or 'https'}://{host}"], repository
    else:
        options, name = [], image
    return [["udocker", "pull", *options, name], ["udocker", "create", "--name={container}", name]]


def _load(archive: Path) -> list[list[str]]:
    if is_image(archive):
        name = "im/{container}"
        return [
            ["udocker", "load", "-i", str(archive), name],
            ["udocker", "create", "--name={container}", "{loaded}"],
            ["udocker", "rmi", "{loaded}"],
        ]
    return [["udocker", "import", "--tocontainer", "--name={container}", str(archive)]]


def is_image(archive: Path) -> bool:
    """Tell an image (docker save, OCI) from the tar of a root file system."""
    try:
        with tarfile.open(archive) as members:
            for index, member in enumerate(members):
                if member.name.removeprefix("./") in {"manifest.json", "oci-layout"}:
                    return True
                if index > 200:
                    break
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BatchError(f"{archive} is no image: {error}") from error
    return False


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(image: str, digest: str, steps: list[list[str]]) -> str:
    container = f"im-{digest[:16]}"
    records = home() / ".im/images"
    records.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = records / f"{container}-udocker.json"
    with lock(record.with_suffix(".lock")):
        if not (record.exists() and folder(container).exists()):
            _discard(container)
            _perform(container, steps)
            new = record.with_suffix(".new")
            new.write_text(json.dumps({"image": image, "digest": digest, "engine": "udocker"}))
            new.rename(record)
    return container


def _perform(container: str, steps: list[list[str]]) -> None:
    loaded = ""
    for step in steps:
        line = [word.replace("{container}", container).replace("{loaded}", loaded) for word in step]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            _discard(container)
            told = [text for text in (done.stdout + done.stderr).splitlines() if text.strip()]
            raise BatchError(f"the image cannot be prepared: {' '.join(told[-2:]) or line[1] + ' failed'}")
        lines = [text for text in done.stdout.splitlines() if text.strip()]
        loaded = loaded or (lines[-1].split(": ")[-1].strip("[]'") if lines else "")


def _discard(container: str) -> None:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["udocker", "rm", "-f", container], check=False, **quiet)  # type: ignore[call-overload]
