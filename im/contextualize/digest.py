"""What decides that nodes must be configured again, as one short text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from im.contextualize import recipes
from im.contextualize.inventory import inventory, used_roles
from im.contextualize.playbook import site_of
from im.errors import ContextualizationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from im.plan.model import Cluster
    from im.topology.model import Topology


def digest_of(cluster: Cluster, topology: Topology, inputs: Mapping[tuple[str, str], Mapping[str, object]]) -> str:
    """Return the digest over recipes, operations with their evaluated inputs, members and variables."""
    plan = site_of(cluster, topology, inputs)
    document = {
        "inventory": inventory(cluster, topology),
        "plays": plan.plays,
        "texts": plan.texts,
        "files": files_digest(recipes.folder(role) for role in used_roles(cluster, topology)),
        "template": files_digest((*plan.files.values(), *map(Path, filter(None, topology.roles.values())))),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:32]


def files_digest(paths: Iterable[Path]) -> str:
    """Return a digest over the content of files and folders, by their names below what was given."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(filter(_matters, path.rglob("*"))) if path.is_dir() else [path]:
            total.update(f"{file.relative_to(path.parent)}\0".encode())
            total.update(hashlib.sha256(_content(file)).digest())
    return total.hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        hint = "put it back, or deploy the template again"
        raise ContextualizationError(f"cannot be read: {error.strerror}", where=str(file), hint=hint) from error


def _matters(path: Path) -> bool:
    return path.is_file() and not {"__pycache__", ".git"} & set(path.parts)
