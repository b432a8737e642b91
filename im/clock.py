"""Time as a value that can be handed over, so that a test of thirty seconds of booting takes none."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Protocol

from im import events


class Clock(Protocol):
    """What the engine and the fake cloud know about time."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def sleep(self, seconds: float) -> None:
        """Let this much time pass."""

    def wait(self, wake: threading.Event, seconds: float) -> None:
        """Let this much time pass, or less if ``wake`` is set."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return events.now()

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        time.sleep(seconds)

    def wait(self, wake: threading.Event, seconds: float) -> None:
        """Let this much time pass, or less if ``wake`` is set."""
        wake.wait(seconds)


class VirtualClock:
    """A time that passes at once whenever somebody waits for it."""

    def __init__(self) -> None:
        self._start = events.now()
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        with self._lock:
            self._passed += seconds

    def wait(self, wake: threading.Event, seconds: float) -> None:
        """Let this much time pass, or none if ``wake`` is set."""
        if not wake.is_set():
            self.sleep(seconds)
