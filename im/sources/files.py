"""Where the files of a template may come from, and nowhere else.

An import or an artifact may be read from: the folder of the template and below; the folders of the import map
and below; our own types, which every template imports as ``im/types.yaml``; and the web, from hosts that the settings
allow (:mod:`im.sources.fetch`). Symbolic links are followed before the check, so that none leads outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urljoin

from im.data_files import data_folder

OWN_PREFIX: Final = "im/"
MAX_BYTES: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: its path, and the name that users see. ``url``: where it was fetched; what it names is there."""

    path: Path
    name: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a reference leads to no file that may be read."""

    problem: str
    hint: str = ""


class Fetch(Protocol):
    """Finds what stands at an address on the web."""

    def find(self, reference: str) -> Source | Refused:
        """Return a copy of it as a file."""


class Nowhere:
    """Fetches nothing."""

    def find(self, reference: str) -> Source | Refused:
        """Say that nothing is fetched."""
        hint = "copy it and map its prefix to a folder (import_map)"
        return Refused(f"'{reference}' is not fetched from the network", hint)


class Sources:
    """Resolves references of one template.

    ``import_map``: URL or path prefix -> folder. ``fetch`` finds what is on the web. ``archive``: the folder that
    ``template`` was unpacked into, and the name of the archive.
    """

    def __init__(
        self,
        template: Path,
        import_map: Mapping[str, Path],
        fetch: Fetch | None = None,
        archive: tuple[Path, str] | None = None,
    ) -> None:
        folder, name = archive or (template.parent, "")
        self.template = Source(template, f"{name}/{template.relative_to(folder)}" if archive else str(template))
        self._fetch = fetch or Nowhere()
        self._types = data_folder("tosca_templates") / "types"
        self._map = sorted(
            ((prefix, Path(folder)) for prefix, folder in import_map.items()), key=lambda pair: -len(pair[0])
        )
        folders = [folder, self._types, *(folder for _, folder in self._map)]
        self._roots = tuple(folder.resolve() for folder in folders)

    def find(self, reference: str, importer: Source) -> Source | Refused:
        """Return the file that ``reference`` in ``importer`` means."""
        if "\0" in reference:
            return Refused("the name of the file holds a NUL")
        if reference.startswith(OWN_PREFIX):
            return self._checked(self._types / reference.removeprefix(OWN_PREFIX), reference)
        mapped = self._mapped(reference)
        if mapped is not None:
            return mapped
        if importer.url:
            reference = joined(importer.url, reference)
        if importer.url or ("://" in reference and not reference.startswith("file://")):
            return self._mapped(reference) or self._fetch.find(reference)
        return self._checked(importer.path.parent / reference.removeprefix("file://"), _shown(reference, importer))

    def folder(self, reference: str) -> Path | Refused | None:
        """Return the folder that the import map has for ``reference``; None where it has none."""
        path = self._place(reference)
        if path is None:
            return None
        real = path.resolve()
        if not any(real.is_relative_to(root) for root in self._roots):
            return Refused(f"'{reference}' is outside the folders of the import map")
        return real if real.is_dir() else Refused(f"there is no folder '{path}'", "see import_map in the settings")

    def _mapped(self, reference: str) -> Source | Refused | None:
        path = self._place(reference)
        return None if path is None else self._checked(path, reference)

    def _place(self, reference: str) -> Path | None:
        for prefix, folder in self._map:
            if reference == prefix or reference.startswith(prefix.rstrip("/") + "/"):
                return folder / reference[len(prefix) :].lstrip("/")
        return None

    def _checked(self, path: Path, name: str) -> Source | Refused:
        try:
            real = path.resolve()
            is_file = real.is_file()
        except (OSError, ValueError, RuntimeError):
            return Refused(f"'{name}' cannot be read")
        if not any(real.is_relative_to(root) for root in self._roots):
            return Refused(
                f"'{name}' is outside the template's folder", "copy it into that folder or map its prefix to a folder"
            )
        if not is_file:
            return Refused(f"there is no file '{name}'")
        return Source(real, name)


def joined(base: str, reference: str) -> str:
    """Return the address that ``reference`` means in a file at ``base``; as it is, where it is none."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _shown(reference: str, importer: Source) -> str:
    """Return the name of a file beside ``importer`` as the user would write it."""
    if reference.startswith(("/", "file://")):
        return reference
    folder, separator, _ = importer.name.rpartition("/")
    while reference.startswith("./"):
        reference = reference[2:]
    return f"{folder}{separator}{reference}"


def read_bytes(path: Path) -> bytes | Refused:
    """Return the content of a file that is not too big."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return Refused(f"'{path.name}' has more than {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        return Refused(f"'{path.name}' cannot be read: {error.strerror}")


def file_digest(path: Path) -> str:
    """Return the hash of a file's content; "" where it cannot be read."""
    content = read_bytes(path)
    return "" if isinstance(content, Refused) else hashlib.sha256(content).hexdigest()
