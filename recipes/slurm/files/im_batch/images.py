"""Images in the user's home, once: as containers of udocker, or as archives for other engines."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from im_batch.faults import BatchError
from im_batch.places import home
from im_batch.udocker import container_folder as folder

SHARED = "batch"
"""Stands for the engines that take an image from its archive: Podman and Docker."""


def kept(container: str) -> Path | None:
    """Return the archive in the home that an image's container is made of; None if it was removed."""
    return next(_folder().glob(f"{container[3:]}*.tar"), None)


def all_kept() -> list[str]:
    """Return the containers that archives in the home are for."""
    return [f"im-{archive.stem[:16]}" for archive in _folder().glob("*.tar")]


def keep(image: str) -> str:
    """Keep an image as an archive in the shared home, where every node finds it; return the name of its containers.

    What a registry holds is fetched once, with the user's own account there. Raises :class:`BatchError`.
    """
    digest = _identity(image)
    target = _folder() / f"{digest}.tar"
    with lock(target.with_suffix(".lock")):
        if not target.exists():
            part = target.with_suffix(".part")
            part.unlink(missing_ok=True)
            if Path(image).is_file():
                shutil.copyfile(image, part)
            else:
                _fetch(image, part)
            part.rename(target)
        _record(image, digest, SHARED)
    return f"im-{digest[:16]}"


def prepared(image: str) -> str:
    """Return udocker's container of ``image``; it is made if it is not there. Raises :class:`BatchError`.

    A name that is no file here may be what the client called its file.
    """
    for known in [] if Path(image).is_file() else listing():
        if (known["image"], known["engine"]) == (image, "udocker") and folder(known["container"]).exists():
            return known["container"]
    digest = _identity(image)
    container = f"im-{digest[:16]}"
    with lock(_folder() / f"{container}-udocker.lock"):
        if not folder(container).exists() or not _record_of(container, "udocker").exists():
            _discard(container)
            with _archive(image) as archive:
                _perform(container, _load(archive))
            _record(image, digest, "udocker")
    return container


def listing() -> list[dict[str, str]]:
    """Return the user's images: ``image``, ``engine``, ``container``."""
    found = []
    for record in sorted(_folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(record.read_text())
            if known["engine"] in {"udocker", SHARED}:
                container = f"im-{str(known['digest'])[:16]}"
                found.append({"image": str(known["image"]), "engine": known["engine"], "container": container})
    return found


def remove(text: str, used: set[str], engine: str = "") -> None:
    """Remove an image by its name, its file's name or its container, of all engines or one.

    Nodes drop their copies with the user's next job. Raises :class:`BatchError` for one that is not there, or that is
    one of the containers ``used``.
    """
    wanted = engine if engine in {"", "udocker"} else SHARED
    known = [each for each in listing() if wanted in {"", each["engine"]}]
    found = [each for each in known if text in {each["image"], each["container"], Path(each["image"]).name}]
    if not found:
        raise BatchError(f"you have no image {text!r}", "see: im-batch images")
    for each in found:
        container = each["container"]
        if container in used:
            raise BatchError(f"image {text} is in use", "see: im-batch ps")
        if each["engine"] == "udocker":
            _discard(container)
        elif archive := kept(container):
            archive.unlink()
        _record_of(container, each["engine"]).unlink()


def _folder() -> Path:
    found = home() / ".im/images"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def _identity(image: str) -> str:
    return _digest(Path(image)) if Path(image).is_file() else hashlib.sha256(image.encode()).hexdigest()


def _digest(archive: Path) -> str:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _fetch(image: str, target: Path) -> None:
    """Fetch from a registry; accounts are where ``skopeo login`` and ``podman login`` leave them."""
    scheme, _, reference = image.rpartition("://")
    plain = ("--src-tls-verify=false",) if scheme == "http" else ()
    line = ["skopeo", "copy", "--quiet", *plain, f"docker://{reference}", f"docker-archive:{target}"]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        told = re.findall(r'msg="(.*)"', done.stderr) or done.stderr.strip().splitlines() or ["skopeo failed"]
        hint = "log in: skopeo login" if re.search("unauthorized|denied", told[-1]) else ""
        raise BatchError(f"the image cannot be fetched: {told[-1]}", hint)


@contextmanager
def _archive(image: str) -> Iterator[Path]:
    """The archive of an image; what was fetched for it does not stay."""
    if Path(image).is_file():
        yield Path(image).resolve()
        return
    part = _folder() / f"{_identity(image)}.{os.getpid()}"
    try:
        _fetch(image, part)
        yield part
    finally:
        part.unlink(missing_ok=True)


def _record_of(container: str, engine: str) -> Path:
    return _folder() / f"{container}-{engine}.json"


def _record(image: str, digest: str, engine: str) -> None:
    container = f"im-{digest[:16]}"
    kind = "archive" if Path(image).is_file() else "registry"
    told = {"image": image, "digest": digest, "engine": engine, "container": container, "kind": kind}
    new = _record_of(container, engine).with_suffix(".new")
    new.write_text(json.dumps(told))
    new.rename(_record_of(container, engine))


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
