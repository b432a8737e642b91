"""Properties are tried with few examples here: this tier is run all the time, and finds the rest over the days.

Its files are kept in memory where that can be had: the databases of some hundred tests wait for a disk longer than they
work.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

MEMORY = Path("/dev/shm")
ROOM = 500_000_000

settings.register_profile("unit", max_examples=25, deadline=None)
settings.load_profile("unit")


def _has_room() -> bool:
    """Tell whether memory takes files, also programs."""
    if not os.access(MEMORY, os.W_OK):
        return False
    system = os.statvfs(MEMORY)
    return system.f_bavail * system.f_frsize > ROOM and not system.f_flag & os.ST_NOEXEC


if _has_room():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
