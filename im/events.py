"""What happened, as values: the engine, Ansible and jobs emit events; the faces render them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Scope = Literal["infrastructure", "node", "task", "job"]
Kind = Literal["started", "progress", "finished", "failed", "retry", "note"]


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one subject.

    ``subject`` is the name of what it happened to (infrastructure, node, job); ``phase`` names the stage of the work
    (``plan``, ``image``, ``create``, ``boot``, ``configure``, ``preflight``, ``delete``, ``job``). ``code`` is stable
    for programs, ``message`` is for
    people. ``data`` is JSON-serialisable; for ``progress`` it may hold ``done`` and ``total``. ``seq`` is given by
    the store.
    """

    infrastructure: str
    scope: Scope
    subject: str
    phase: str
    kind: Kind
    code: str = ""
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    at: datetime = field(default_factory=now)
    seq: int = 0


Emit = Callable[[Event], None]
