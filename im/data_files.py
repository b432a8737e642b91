"""Finds the data folders (recipes, playbooks, templates), in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path


def data_folder(name: str) -> Path:
    """Return the folder ``name``: ``recipes``, ``contextualization``, ``tosca_templates`` or ``images``."""
    package = Path(__file__).resolve().parent
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name
