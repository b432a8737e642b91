"""udocker's own tools: upstream's archive where it can be reached, else built once on a front-end; kept either way."""

from __future__ import annotations

import hashlib
import json
import tarfile
import urllib.request
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from im.contextualize.nix_hash import tree_hash
from im.contextualize.recipes import folder
from im.errors import ContextualizationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from im.config import Settings
    from im.events import Kind

    Report = Callable[[Kind, str], None]

_FETCH_TIMEOUT = 20.0


def ensure(settings: Settings, platform: str, build: Callable[[Path], bytes], report: Report) -> Path:
    """Return the archive from the cache; it is fetched or built when it is not there.

    ``platform`` names machine and distribution; ``build`` runs a script on the front-end and returns what it writes.
    Raises :class:`im.errors.ContextualizationError` for an archive that is not the one the settings name.
    """
    script = folder("udocker") / "files" / "build-tools.sh"
    upstream = f"{settings.udocker_tools_url} {settings.udocker_tools_sha256}"
    origin = hashlib.sha256(upstream.encode() + script.read_bytes()).hexdigest()[:12]
    path = settings.cache / "udocker-tools" / f"{platform}-{origin}.tar.gz"
    if not path.exists():
        _keep(path, _from_upstream(settings, report) or _built(script, build, report))
    return path


def known_modes(settings: Settings, place: str) -> str:
    """Return how udocker's modes did in such a place before, as JSON text; "" if nobody has tried them there."""
    path = _modes(settings, place)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def keep_modes(settings: Settings, place: str, found: Mapping[str, object]) -> None:
    """Keep what the probe found in a place, a front-end's system with one set of tools, unless it is known."""
    path = _modes(settings, place)
    if not path.exists() and found.get("tried"):
        verdict = {name: found[name] for name in ("tried", "mode", "seconds", "unusable")}
        _keep(path, json.dumps(verdict).encode())


def _modes(settings: Settings, place: str) -> Path:
    return settings.cache / "udocker-tools" / f"modes-{place}.json"


def digest(path: Path) -> str:
    """Return the SHA-256 of an archive."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _built(script: Path, build: Callable[[Path], bytes], report: Report) -> bytes:
    report("progress", "building udocker's tools in a throw-away root on the front-end (once, about a minute)")
    return build(script)


def _from_upstream(settings: Settings, report: Report) -> bytes:
    """Return upstream's archive; b"" if it is out of reach. A wrong checksum is an error, never a reason to go on."""
    url, wanted = settings.udocker_tools_url, settings.udocker_tools_sha256
    if not url:
        return b""
    report("progress", "fetching udocker's tools (once)")
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_TIMEOUT) as answer:
            data: bytes = answer.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        report("note", f"udocker's tools cannot be fetched from {url} ({why}); they are built instead")
        return b""
    found = _checksum(data, of_tree=wanted.startswith("sha256-"))
    if found not in (wanted, wanted.lower()):
        raise ContextualizationError(
            f"the archive of udocker's tools has SHA-256 {found}, not {wanted or 'one that was given'}",
            where=url,
            hint="set IM_UDOCKER_TOOLS_SHA256 to the checksum of an archive that you trust, or IM_UDOCKER_TOOLS_URL to"
            " nothing: the tools are built then",
        )
    return data


def _checksum(archive: bytes, *, of_tree: bool) -> str:
    if not of_tree:
        return hashlib.sha256(archive).hexdigest()
    try:
        return tree_hash(archive)
    except (OSError, EOFError, tarfile.TarError) as error:
        return f"none, being no archive ({error})"


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    path.parent.joinpath(file.name).replace(path)
