"""Keeps what was read before: documents, verdicts of tosca-parser, whole topologies.

Each is found by the hash of all that it depends on. Everything is JSON: a file that somebody else put there can
make a template wrong, but cannot run code. A key contains the version of im, so that a new version never reads
what an old one wrote. The cache may be deleted at any time; where it cannot be written, it is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import im
from im.sources.codec import Parsed, decode_document, decode_topology, encode_document, encode_topology
from im.topology.document import Map
from im.topology.model import Finding, Topology

_FORMAT: Final = "1"


@lru_cache(maxsize=1)
def code_stamp() -> bytes:
    """Return what changes with this code: the version of im, and size and time of the files that read templates."""
    package = Path(im.__file__).parent
    files = sorted((*package.glob("topology/*.py"), *package.glob("sources/*.py")))
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{_FORMAT} {im.__version__} {version('tosca-parser')} {stats}".encode()


def digest(*parts: bytes) -> str:
    """Return the key of what depends on ``parts`` and on this code."""
    hasher = hashlib.sha256(code_stamp())
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.hexdigest()


class Cache:
    """A folder (mode 0700) of JSON files. ``None`` for the folder: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def document(self, content: bytes, file: str, parse: Callable[[], Parsed]) -> Parsed:
        """Return what ``content`` holds: from the cache, else from ``parse``."""
        if self._folder is None:
            return parse()
        key = digest(b"document", content)
        kept = self._read(key)
        if kept is not None:
            try:
                return decode_document(kept, file)
            except (KeyError, TypeError, ValueError, IndexError):
                pass
        value, findings = parse()
        if isinstance(value, Map):
            self._write(key, encode_document(value, findings))
        return value, findings

    def verdict(self, question: object, ask: Callable[[], tuple[Finding, ...]]) -> tuple[Finding, ...]:
        """Return no findings where ``question`` was answered with none before; else what ``ask`` says."""
        if self._folder is None:
            return ask()
        key = digest(b"verdict", json.dumps(question, sort_keys=True, default=str).encode())
        if self._read(key) == {"findings": []}:
            return ()
        findings = ask()
        if not findings:
            self._write(key, {"findings": []})
        return findings

    def topology(self, key: str, holds: Callable[[Mapping[str, Any]], bool]) -> Topology | None:
        """Return the topology kept under ``key``, if ``holds`` says that all that it was made of is still the same."""
        kept = self._read(key) if self._folder is not None else None
        try:
            return decode_topology(kept["topology"]) if kept is not None and holds(kept["sources"]) else None
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            return None

    def keep(self, key: str, topology: Topology, sources: Mapping[str, Any]) -> None:
        """Keep a topology, and of what it was made."""
        if self._folder is not None:
            self._write(key, {"sources": sources, "topology": encode_topology(topology)})

    def _path(self, key: str) -> Path:
        return Path(str(self._folder)) / f"{key}.json"

    def _read(self, key: str) -> Any:  # noqa: ANN401 - JSON
        try:
            return json.loads(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def _write(self, key: str, value: object) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, separators=(",", ":"))
            Path(name).replace(path)
        except (OSError, TypeError, ValueError):
            return
