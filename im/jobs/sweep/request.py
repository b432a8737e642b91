"""A scan as its user wants it, and what the programs on the nodes read of it. Pure."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from im.jobs.engines import passed_on

if TYPE_CHECKING:
    from im.jobs.facts import Member
    from im.jobs.sweep.points import Point


@dataclass(frozen=True, slots=True)
class Sweep:
    """One scan.

    ``words``: the command of a point, with ``{parameter}`` in it; ``check``: words that must end with 0 as well, in the
    point's folder. ``retries``: how often a failed point is tried again at once; ``at_most``: workers at a time (0 = as
    many as there are slots); ``memory``: what Slurm gives each of them ("" = its own choice).
    """

    image: str
    words: tuple[str, ...]
    check: tuple[str, ...] = ()
    engine: str = ""
    files: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0
    at_most: int = 0
    memory: str = ""
    identifier: str = field(default_factory=lambda: secrets.token_hex(4))


def description(sweep: Sweep, points: int, prefix: Sequence[str], workers: Sequence[Member], here: str) -> str:
    """Return what the programs read; ``prefix`` starts a container, ``here`` is the front-end."""
    document = {
        "id": sweep.identifier,
        "image": sweep.image,
        "words": sweep.words,
        "check": sweep.check,
        "env": passed_on(sweep.env),
        "retries": sweep.retries,
        "at_most": sweep.at_most,
        "memory": sweep.memory,
        "points": points,
        "prefix": list(prefix),
        "nodes": [[member.name, member.slots] for member in workers],
        "here": here,
    }
    return json.dumps(document)


def listing(points: Iterable[Point]) -> str:
    """Return the points, one a line."""
    return "".join(f"{json.dumps(point)}\n" for point in points)
