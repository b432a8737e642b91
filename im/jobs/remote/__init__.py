"""Programs that run on the nodes, sent as text: standard library only, for the Python of a node (3.8 and later)."""

from __future__ import annotations

from pathlib import Path


def source(name: str) -> str:
    """Return the text of the program ``name`` (``supervisor``, ``prepare``, ``mesh``, ``mpi_check``)."""
    return (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
