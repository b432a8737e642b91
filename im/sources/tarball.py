"""Roles as archives: the tarballs that forges and Ansible Galaxy give out, unpacked once."""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

from im.sources.archive import MAX_FILES, MAX_UNPACKED, unpacked
from im.sources.files import Refused

_GZIP: Final = b"\x1f\x8b"
ROLE_FOLDERS: Final = ("tasks", "meta")


def unpack_role(archive: Path, folder: Path) -> Path | Refused:
    """Return the role in an archive: it is the whole of it, or its only folder. It is unpacked below ``folder``."""
    target = unpacked(archive, folder, _extract)
    if isinstance(target, Refused):
        return target
    inner = [path for path in target.iterdir() if path.is_dir()]
    role = next((path for path in (target, *sorted(inner)) if is_role(path)), None)
    return role or Refused(f"'{archive.name}' holds no role (a folder with tasks/ or meta/)")


def is_role(folder: Path) -> bool:
    """Tell whether a folder looks like a role."""
    return any((folder / name).is_dir() for name in ROLE_FOLDERS)


def _extract(content: bytes, new: Path) -> Refused | None:
    """Write the files of an archive. A link becomes what it means, if that is in the archive, else nothing."""
    plain = zlib.decompressobj(47).decompress(content, MAX_UNPACKED + 1) if content.startswith(_GZIP) else content
    if len(plain) > MAX_UNPACKED:
        return Refused(f"the archive holds more than {MAX_UNPACKED:,} bytes")
    left = MAX_UNPACKED
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as opened:
        members = opened.getmembers()
        if len(members) > MAX_FILES:
            return Refused(f"the archive holds more than {MAX_FILES:,} files")
        for member in members:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or "\0" in member.name:
                return Refused(f"the archive holds '{member.name[:100]}', which is outside of it")
            left = _write(opened, member, new / name, left)
            if left < 0:
                return Refused(f"the archive holds more than {MAX_UNPACKED:,} bytes")
    return None


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path, left: int) -> int:
    """Write one file; returns how many bytes may follow."""
    try:
        source = opened.extractfile(member)
    except KeyError:  # a link to what is not in the archive
        return left
    if source is None:
        return left
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("xb") as file:
        while left >= 0 and (part := source.read(65_536)):
            left -= len(part)
            file.write(part)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
    return left
