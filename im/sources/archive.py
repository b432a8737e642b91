"""CSAR and zip archives: a template with all its files in one.

The archive is unpacked into a folder that is named after its content, once. Nothing in it may lie outside that
folder, be a link, or grow beyond the limits below, whatever it says of itself.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from im.sources.files import Refused

SUFFIXES: Final = (".csar", ".zip")
MAX_FILES: Final = 1_000
MAX_UNPACKED: Final = 50_000_000
MAX_PACKED: Final = 20_000_000
_FORMATS: Final = (zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, zlib.error)
_BROKEN: Final = (OSError, *_FORMATS, EOFError, RuntimeError, ValueError)
"""What reading a broken or hostile archive raises; RuntimeError includes links in a circle and unknown methods."""
META: Final = "TOSCA-Metadata/TOSCA.meta"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An archive as files: its folder, and the template in it."""

    folder: Path
    template: Path


def is_archive(path: Path) -> bool:
    """Tell whether a template is given as an archive."""
    return path.suffix.lower() in SUFFIXES


def unpack(archive: Path, folder: Path) -> Unpacked | Refused:
    """Return an archive's files and its template; they are unpacked below ``folder`` unless they are there."""
    target = unpacked(archive, folder, _unzip)
    if isinstance(target, Refused):
        return target
    template = _template(target, archive.name)
    return template if isinstance(template, Refused) else Unpacked(target, template)


def unpacked(archive: Path, folder: Path, extract: Callable[[bytes, Path], Refused | None]) -> Path | Refused:
    """Return the folder with an archive's files, below ``folder`` and named after its content; it is made once.

    ``extract`` writes the files of the content into a folder.
    """
    try:
        if archive.stat().st_size > MAX_PACKED:
            return Refused(f"'{archive.name}' has more than {MAX_PACKED:,} bytes")
        content = archive.read_bytes()
        target = folder / hashlib.sha256(content).hexdigest()[:32]
        refused = None if target.is_dir() else _into(target, lambda new: extract(content, new))
    except _BROKEN as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return Refused(f"'{archive.name}' is no archive that can be read: {reason}")
    return refused or target


def _into(target: Path, extract: Callable[[Path], Refused | None]) -> Refused | None:
    """Unpack beside the place where the files belong, so that a folder is there only when all of it is."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        refused = extract(new)
        if refused is None:
            _put(new, target)
        return refused
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put(new: Path, target: Path) -> None:
    try:
        new.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _unzip(content: bytes, new: Path) -> Refused | None:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return _extract(opened, new)


def _extract(opened: zipfile.ZipFile, new: Path) -> Refused | None:
    items = opened.infolist()
    if len(items) > MAX_FILES:
        return Refused(f"the archive holds more than {MAX_FILES:,} files")
    left = MAX_UNPACKED
    for item in items:
        problem = _problem(item)
        if problem:
            return Refused(f"the archive holds '{item.filename[:100]}', {problem}")
        if item.is_dir():
            continue
        path = new / PurePosixPath(item.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(item) as source, path.open("wb") as file:
            while part := source.read(65_536):
                left -= len(part)
                if left < 0:
                    return Refused(f"the archive holds more than {MAX_UNPACKED:,} bytes")
                file.write(part)
    return None


def _problem(item: zipfile.ZipInfo) -> str:
    path = PurePosixPath(item.filename)
    kind = stat.S_IFMT(item.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in item.filename or "\0" in item.filename:
        return "which is outside of it"
    if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        return "which is neither a file nor a folder"
    return "which is encrypted" if item.flag_bits & 0x1 else ""


def _template(folder: Path, name: str) -> Path | Refused:
    """Return the template that ``TOSCA.meta`` names as its entry, else the only YAML file at the top."""
    for meta in (META, "TOSCA.meta"):
        if (folder / meta).is_file():
            return _entry(folder, meta, name)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".yaml", ".yml"} and path.is_file())
    if len(found) == 1:
        return found[0]
    known = ", ".join(path.name for path in found) or "none"
    return Refused(f"it is not clear which file of '{name}' is the template ({known} at the top)", f"name it in {META}")


def _entry(folder: Path, meta: str, name: str) -> Path | Refused:
    entry = next((value for key, value in _lines(folder / meta) if key == "entry-definitions"), "")
    if not entry:
        return Refused(f"{meta} of '{name}' names no template", "Entry-Definitions: PATH")
    path = (folder / entry).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return Refused(f"{meta} of '{name}' names '{entry}', which is not in the archive")
    return folder / entry


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, separator, value = line.partition(":")
        if separator:
            yield key.strip().lower(), value.strip()
