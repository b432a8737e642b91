"""Small files that are never seen half-written. Standard library only."""

from __future__ import annotations

from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a small file so that a reader sees all of it or what was there before."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a folder with its missing parents, all with this mode whatever the caller's umask is."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_folder(path.parent, mode)
        path.mkdir(exist_ok=True)
        path.chmod(mode)


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file for a node with its missing folders; never open to others for a moment if ``mode`` is not."""
    make_folder(path.parent)
    path.touch(0o600)
    path.chmod(mode)
    path.write_text(text)
