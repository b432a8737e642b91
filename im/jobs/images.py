"""Container images: what a name or an archive is, and its digest. Nothing here talks to a cluster."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from im.config import default_home
from im.errors import InputError

Kind = Literal["registry", "docker", "oci", "rootfs"]

_NAME = re.compile(r"(https?://)?[a-zA-Z0-9][\w.:/@-]*")
_ROOT = {"bin", "usr", "etc", "lib", "opt", "sbin"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the user named it. ``archive`` is None for what a registry holds.

    ``digest`` (sha256) is the archive's, or for a registry that of the name. ``bare``: it has no system of its own, but
    borrows the node's.
    """

    reference: str
    kind: Kind
    digest: str
    archive: Path | None = None
    bare: bool = False

    @property
    def container(self) -> str:
        """Name of the container that is prepared from this image on a cluster."""
        return f"im-{self.digest[:16]}"


def recognise(reference: str, cache: Path | None = None) -> Image:
    """Say what ``reference`` is: a file that exists is an archive, all else a registry's name.

    ``cache`` is the file that keeps the digests of archives. Raises :class:`im.errors.InputError`.
    """
    path = Path(reference)
    if path.is_file():
        return Image(reference, archive_kind(path), digest_of(path, cache or _default_cache()), path)
    looks_like_file = reference.startswith((".", "/", "~")) or reference.endswith((".tar", ".tgz", ".gz", ".xz"))
    if path.exists() or looks_like_file or not _NAME.fullmatch(reference):
        raise InputError(
            f"there is no image archive {reference!r}",
            where="--image",
            hint="give a file made by docker save, an OCI archive, a tar of a root file system, or a registry's name",
        )
    return Image(reference, "registry", hashlib.sha256(reference.encode()).hexdigest())


def archive_kind(path: Path) -> Kind:
    """Tell the format of an archive by what it lists; reads no further than it must.

    Raises :class:`im.errors.InputError` for what is none of the three.
    """
    try:
        with tarfile.open(path) as archive:
            return kind_of(member.name for member in archive)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path} is no tar archive: {error}", where="--image") from error
    except ValueError as error:
        raise InputError(
            f"{path} holds neither an image nor a root file system", where="--image", hint=str(error)
        ) from error


def kind_of(names: Iterable[str]) -> Kind:
    """Tell the format from an archive's listing. Raises ``ValueError``."""
    top = set()
    manifest = False
    for name in names:
        parts = name.removeprefix("./").strip("/").split("/")
        if parts == ["oci-layout"]:
            return "oci"
        manifest = manifest or parts == ["manifest.json"]
        top.add(parts[0])
        if parts[0] in _ROOT and len(top & _ROOT) >= 2:
            return "rootfs"
    if manifest:
        return "docker"
    if top & _ROOT:
        return "rootfs"
    raise ValueError(f"at its top: {', '.join(sorted(top)[:5]) or 'nothing'}")


def digest_of(path: Path, cache: Path) -> str:
    """Return the sha256 of a file, computed once as long as place, size and time of the file stay the same."""
    status = path.stat()
    key = f"{path.resolve()}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
    known = _read_cache(cache)
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        _write_cache(cache, dict(list(known.items())[-100:]))
    return known[key]


def _default_cache() -> Path:
    return default_home() / "cache" / "image-digests.json"


def _read_cache(cache: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        known = json.loads(cache.read_text())
        return known if isinstance(known, dict) else {}
    return {}


def _write_cache(cache: Path, known: dict[str, str]) -> None:
    with suppress(OSError):  # without a cache the digest is computed again
        cache.parent.mkdir(parents=True, exist_ok=True)
        new = cache.with_suffix(".new")
        new.write_text(json.dumps(known))
        new.replace(cache)
