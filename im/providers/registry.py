"""Providers are found by entry point ``im.providers``; a cloud's name is ``provider`` or ``provider:account``.

The name of a cloud in the user's ``clouds.yaml`` will do too: ``NAME`` is ``openstack:NAME`` unless it is a provider.
"""

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
        return open_cloud(_in_clouds_yaml(cloud), settings)
    factory = cast(ProviderFactory, found[0].load())
    return factory(settings, cloud)


def _in_clouds_yaml(name: str) -> str:
    """Return the full name of an OpenStack cloud of this user. Raises :class:`im.errors.UnknownName`."""
    from im.providers.openstack.session import KIND, known_clouds

    clouds = known_clouds()
    if name in clouds and KIND in names():
        return f"{KIND}:{name}"
    hint = f"installed providers: {', '.join(names())}; clouds in clouds.yaml: {', '.join(clouds) or 'none'}"
    raise UnknownName(f"there is no provider {name.partition(':')[0]!r}", hint=hint)
