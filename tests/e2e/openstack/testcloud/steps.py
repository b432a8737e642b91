"""Says what was done and how long it took."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field


class StackError(Exception):
    """The test cloud cannot be had; the message says why in one line."""


@dataclass
class Steps:
    """A clock that prints one line for each step done."""

    begin: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    def done(self, what: str) -> None:
        """Print a step with the seconds since the begin and since the step before."""
        now = time.monotonic()
        print(f"{now - self.begin:7.1f} s  +{now - self.last:5.1f}  {what}", file=sys.stderr, flush=True)
        self.last = now
