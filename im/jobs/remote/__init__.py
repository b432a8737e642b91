"""Programs that run on the nodes, sent as text: standard library only, for the Python of a node (3.8 and later)."""

from __future__ import annotations

from pathlib import Path


def source(name: str) -> str:
    """Return the text of the program ``name``: of ``name.py``, or of a file with another suffix if it is given."""
    path = Path(__file__).parent / name
    return (path if path.suffix else path.with_suffix(".py")).read_text(encoding="utf-8")
