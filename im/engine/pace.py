"""How long to wait before looking again, and when to stop believing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from im.clock import Clock

SHORTEST = 0.05
LONGEST = 5.0
SHARE = 0.1
"""Looking again costs a wait at most a tenth of what it has taken already."""
LOOKING = 4.0
"""A listing is followed by a pause so many times as long as it took: looking shall not slow down what is looked at."""
LONGEST_BUILD_GUESS = 1.0
SECOND_LOOK = 2.0
"""Seconds between two listings that count as two."""


class Pace:
    """Adaptive back-off: short after progress, longer the longer nothing happens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._progress = clock.monotonic()
        self._rest = 0.0

    def progress(self) -> None:
        """Something changed just now."""
        self._progress = self._clock.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since something changed."""
        return self._clock.monotonic() - self._progress

    @contextmanager
    def looking(self) -> Iterator[None]:
        """The time that this takes tells how much a look costs."""
        began = self._clock.monotonic()
        yield
        self._rest = LOOKING * (self._clock.monotonic() - began)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """What took the cloud a while to accept is not done at once."""
        began = self._clock.monotonic()
        yield
        self._rest = max(self._rest, min(self._clock.monotonic() - began, LONGEST_BUILD_GUESS))

    def delay(self) -> float:
        """Return how long to wait before the next look."""
        return min(max(self.idle * SHARE, SHORTEST, self._rest), LONGEST)


class Sightings:
    """Who was missing from the cloud's listings, and since when; one listing alone is not believed."""

    def __init__(self, clock: Clock, grace: float) -> None:
        self._clock = clock
        self._grace = timedelta(seconds=grace)
        self._second_look = min(SECOND_LOOK, grace)
        self._first: dict[str, float] = {}
        self._looks: dict[str, int] = {}

    @property
    def missing(self) -> frozenset[str]:
        """Tokens that were missing from the last listing."""
        return frozenset(self._first)

    def look(self, missing: Collection[str]) -> None:
        """Take note of a listing: these tokens were not in it."""
        now = self._clock.monotonic()
        self._first = {token: self._first.get(token, now) for token in missing}
        self._looks = {token: self._looks.get(token, 0) + 1 for token in missing}

    def forget(self, token: str) -> None:
        """Begin anew with a token."""
        self._first.pop(token, None)
        self._looks.pop(token, None)

    def twice(self, token: str) -> bool:
        """Tell whether the token was missing from two listings that are apart in time."""
        since = self._first.get(token)
        return since is not None and self._looks[token] > 1 and self._clock.monotonic() - since >= self._second_look

    def believed(self, token: str, requested: datetime | None) -> bool:
        """Tell whether it was missing twice, and long enough after the last request about it."""
        return self.twice(token) and (requested is None or self._clock.now() - requested >= self._grace)
