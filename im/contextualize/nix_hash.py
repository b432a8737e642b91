"""The hash by which Nix names what an archive holds: it is the same however the archive is packed or compressed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import TypeAlias

Folder: TypeAlias = "dict[str, Folder | tarfile.TarInfo]"


def tree_hash(archive: bytes) -> str:
    """Return ``sha256-`` and the base64 digest of what a gzipped tar archive holds, in Nix's archive format.

    Nothing is unpacked. Raises ``OSError``, ``EOFError`` or ``tarfile.TarError`` for what is no such archive.
    Source: E. Dolstra, The Purely Functional Software Deployment Model, 2006, figure 5.2; ``nix-hash --type sha256``
    prints the same digest for the unpacked folder.
    """
    with TemporaryFile() as plain:
        with gzip.open(io.BytesIO(archive)) as packed:
            shutil.copyfileobj(packed, plain)
        plain.seek(0)
        with tarfile.open(fileobj=plain) as tar:
            digest = hashlib.sha256(_text("nix-archive-1"))
            for piece in _entry(tar, _tree(tar)):
                digest.update(piece)
    return f"sha256-{base64.b64encode(digest.digest()).decode()}"


def _tree(tar: tarfile.TarFile) -> Folder:
    root: Folder = {}
    for member in tar:
        names = PurePosixPath(member.name).parts
        folder = root
        for name in names if member.isdir() else names[:-1]:
            inner = folder.setdefault(name, {})
            if isinstance(inner, tarfile.TarInfo):
                raise tarfile.ReadError(f"{member.name} lies in a file")
            folder = inner
        if not member.isdir():
            folder[names[-1]] = member
    return root


def _entry(tar: tarfile.TarFile, entry: Folder | tarfile.TarInfo) -> Iterator[bytes]:
    yield _text("(", "type")
    if isinstance(entry, dict):
        yield _text("directory")
        for name in sorted(entry, key=str.encode):
            yield _text("entry", "(", "name", name, "node")
            yield from _entry(tar, entry[name])
            yield _text(")")
    elif entry.issym():
        yield _text("symlink", "target", entry.linkname)
    elif content := tar.extractfile(entry):
        yield _text("regular", *(("executable", "") if entry.mode & 0o100 else ()), "contents")
        yield _string(content.read())
    yield _text(")")


def _text(*words: str) -> bytes:
    return b"".join(_string(word.encode()) for word in words)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)
