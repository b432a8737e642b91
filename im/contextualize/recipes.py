"""Which recipes a topology uses, and the packages that each of them wants on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from im.data_files import data_folder
from im.errors import ContextualizationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from im.topology.model import Topology

BASE = "base"
NFS = "nfs"
"""What shares folders where the cloud does not."""


def roles(topology: Topology, group: str | None = None) -> tuple[str, ...]:
    """Return ``base`` and the roles of the software on ``group`` (None: on all), in the order of their levels."""
    used = [BASE]
    for software in topology.software:
        if group in (None, software.host):
            used.extend(each.implementation for each in software.operations if each.kind == "role")
    return tuple(dict.fromkeys(used))


def folder(role: str) -> Path:
    """Return the folder of a recipe. Raises :class:`im.errors.ContextualizationError` for an unknown one."""
    path = data_folder("recipes") / role
    if role in {"", ".", ".."} or "/" in role or not path.is_dir():
        known = ", ".join(sorted(each.name for each in data_folder("recipes").iterdir() if each.is_dir()))
        raise ContextualizationError("there is no such recipe", where=f"role {role}", hint=f"there are: {known}")
    return path


def packages(used: Iterable[str], *, once: bool = True, front_end: bool = False) -> list[str]:
    """Return the packages that these roles need on a node; with ``once``, those for shared work too.

    A role lists them in its ``packages.yml``: ``every`` for each node, ``once`` for nodes that prepare the users' home,
    ``front_end`` for that one alone.
    """
    wanted: set[str] = set()
    for role in used:
        listed = _listed(folder(role) / "packages.yml")
        wanted.update(listed.get("every", ()))
        if once:
            wanted.update(listed.get("once", ()))
        if front_end:
            wanted.update(listed.get("front_end", ()))
    return sorted(wanted)


def needs_no_packages(role: str) -> bool:
    """Tell whether the tasks of a recipe may run before its packages are there: ``early: true`` in its list."""
    return bool(_listed(folder(role) / "packages.yml").get("early"))


def _listed(path: Path) -> dict[str, list[str]]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}
