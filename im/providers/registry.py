"""Providers are found by entry point ``im.providers``; a cloud's name is ``provider`` or ``provider:account``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from im.config import Settings
from im.errors import UnknownName
from im.providers.base import Provider, ProviderFactory

GROUP = "im.providers"


def names() -> tuple[str, ...]:
    """Return the names of all installed providers, sorted."""
    return tuple(sorted(entry_points(group=GROUP).names))


def open_cloud(cloud: str, settings: Settings) -> Provider:
    """Return the provider of a cloud such as ``local``. Raises :class:`im.errors.UnknownName`."""
    kind = cloud.partition(":")[0]
    found = tuple(entry_points(group=GROUP, name=kind))
    if not found:
        raise UnknownName(f"there is no provider {kind!r}", hint=f"installed providers: {', '.join(names())}")
    factory = cast(ProviderFactory, found[0].load())
    return factory(settings, cloud)
