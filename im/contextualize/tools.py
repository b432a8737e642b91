"""udocker's own tools: upstream's archive where the settings name one, else built once on a front-end and kept."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from im.contextualize.recipes import folder
from im.errors import ContextualizationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from im.config import Settings
    from im.events import Kind

    Report = Callable[[Kind, str], None]

_FETCH_TIMEOUT = 60.0


def ensure(settings: Settings, platform: str, build: Callable[[Path], bytes], report: Report) -> Path:
    """Return the archive from the cache; it is fetched or built when it is not there.

    ``platform`` names machine and distribution; ``build`` runs a script on the front-end and returns what it writes.
    """
    cache = settings.cache / "udocker-tools"
    if settings.udocker_tools_url and (fetched := _from_upstream(settings, cache, report)):
        return fetched
    script = folder("udocker") / "files" / "build-tools.sh"
    recipe = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    path = cache / f"{platform}-{recipe}.tar.gz"
    if not path.exists():
        report("progress", "building udocker's tools in a throw-away root on the front-end (once, about a minute)")
        _keep(path, build(script))
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


def _from_upstream(settings: Settings, cache: Path, report: Report) -> Path | None:
    """Return upstream's archive; None if it is out of reach. A wrong checksum is an error, never a reason to go on."""
    wanted = settings.udocker_tools_sha256.lower()
    path = cache / f"upstream-{wanted}.tar.gz"
    if path.exists():
        return path
    report("progress", "fetching udocker's tools (once)")
    try:
        with urllib.request.urlopen(settings.udocker_tools_url, timeout=_FETCH_TIMEOUT) as answer:
            data: bytes = answer.read()
    except (OSError, ValueError) as error:
        report("note", f"udocker's tools cannot be fetched ({error}); they are built instead")
        return None
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise ContextualizationError(
            f"the archive of udocker's tools has SHA-256 {found}, not {wanted or 'one that was given'}",
            where=settings.udocker_tools_url,
            hint="set IM_UDOCKER_TOOLS_SHA256 to the checksum of an archive that you trust",
        )
    _keep(path, data)
    return path


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    path.parent.joinpath(file.name).replace(path)
