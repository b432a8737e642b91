"""Calls to a cloud: repeated where that is safe, and never with a stranger's exception coming out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from im.engine.journal import Journal
from im.engine.world import World
from im.errors import ImError, ProviderError, ProviderUnavailable

T = TypeVar("T")

LONGEST_WAIT = 10.0

logging.getLogger("stamina").addHandler(logging.NullHandler())  # retries are events of ours already


def once(world: World, what: str, call: Callable[[], T]) -> T:
    """Make a call to the cloud a single time. Raises :class:`im.errors.ProviderError` and its children only."""
    try:
        return call()
    except ImError:
        raise
    except Exception as error:  # a provider is a stranger's code: whatever it raises must not cost us our state
        name = world.provider.name
        raise ProviderError(f"{what} failed: {type(error).__name__}: {error}", where=f"cloud {name}") from error


def repeated(world: World, journal: Journal, what: str, call: Callable[[], T]) -> T:
    """Make a call that may be repeated; while the cloud is unavailable, try again with growing pauses."""
    import stamina

    limit = world.settings.boot_timeout
    attempts = stamina.retry_context(on=ProviderUnavailable, attempts=None, timeout=limit, wait_max=LONGEST_WAIT)
    for attempt in attempts:
        with attempt:
            if attempt.num > 1:
                message = f"{what}: the cloud is not available, attempt {attempt.num}"
                journal.note("create", "retry", "unavailable", message, attempt=attempt.num)
            return once(world, what, call)
    raise AssertionError  # stamina either returns or raises
