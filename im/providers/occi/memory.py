"""What one process remembers about servers, to ask less and to understand answers; a new one does without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from im.providers.occi.model import Resource

SETTLED = 15.0
"""Seconds that a server which runs and has its address is believed to go on like that. Each look at a server costs an
OpenStack behind ooi five requests; that it is listed at all is seen each time."""

ENDING = 30.0
"""Seconds that a server whose end was requested is believed to end: as long as it is listed, nothing else is asked."""

DOUBT = 10.0
"""Seconds that a server is believed to be built where nobody says so; then the site is asked whether it failed."""

Term = Literal["start", "stop"]


class Memory:
    """Which servers are new, what was asked of them, and how those look that have settled."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._young: dict[str, None] = {}
        self._asked: dict[str, Term] = {}
        self._settled: dict[str, tuple[float, Resource]] = {}
        self._ending: dict[str, float] = {}
        self._believed: dict[str, float] = {}
        self._failures: dict[str, str] = {}

    def made(self, id: str) -> None:  # noqa: A002
        """Take note of a server that was created here."""
        self._young[id] = None

    def is_young(self, id: str) -> bool:  # noqa: A002
        """Tell whether a server was created here and has not been seen running yet."""
        return id in self._young

    def young(self, ids: Iterable[str]) -> list[str]:
        """Return those of these that are young, the one that was looked at longest ago first."""
        wanted = set(ids)
        return [id_ for id_ in tuple(self._young) if id_ in wanted]

    def still_building(self, id: str) -> None:  # noqa: A002
        """Take note that a young server was looked at in vain: the others come first next time."""
        if id in self._young:
            del self._young[id]
            self._young[id] = None

    def is_doubtful(self, id: str) -> bool:  # noqa: A002
        """Tell whether a server has been seen building for too long, every :data:`DOUBT` seconds once."""
        since = self._believed.setdefault(id, self._now())
        if id in self._failures or self._now() - since < DOUBT:
            return False
        self._believed[id] = self._now()
        return True

    def failed(self, id: str, reason: str) -> None:  # noqa: A002
        """Take note that a server failed: it stays so."""
        self._young.pop(id, None)
        self._failures[id] = reason

    def failure(self, id: str) -> str:  # noqa: A002
        """Return why a server failed; "" if it is not known to."""
        return self._failures.get(id, "")

    def runs(self, resource: Resource, *, settled: bool) -> None:
        """Take note of a server that was seen running, and whether there is nothing more to wait for."""
        self._young.pop(resource.id, None)
        if settled and not self.was_asked(resource.id, "stop"):
            self._settled.setdefault(resource.id, (self._now(), resource))

    def settled(self, id: str) -> Resource | None:  # noqa: A002
        """Return how a settled server looked, if that was a moment ago."""
        since, resource = self._settled.get(id, (0.0, None))
        if resource is not None and self._now() - since > SETTLED:
            self._settled.pop(id, None)
            return None
        return resource

    def touch(self, id: str) -> None:  # noqa: A002
        """Take note that a server is about to change."""
        self._settled.pop(id, None)

    def asked(self, id: str, term: Term) -> None:  # noqa: A002
        """Take note of an action that was requested."""
        self._young.pop(id, None)
        self._asked[id] = term

    def was_asked(self, id: str, term: Term) -> bool:  # noqa: A002
        """Tell whether that action was the last one that was requested here."""
        return self._asked.get(id) == term

    def ends(self, id: str) -> None:  # noqa: A002
        """Take note of a server whose end was requested."""
        self._young.pop(id, None)
        self._ending[id] = self._now()

    def is_ending(self, id: str) -> bool:  # noqa: A002
        """Tell whether the end of a server was requested a moment ago."""
        return id in self._ending and self._now() - self._ending[id] < ENDING
