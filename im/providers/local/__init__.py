"""Provider ``local``: every node is a Linux host of its own on this machine, of namespaces, an overlay and cgroups.

``image`` makes the base image once; ``network`` gives an infrastructure its bridge and its way out; ``spawn`` is the
short-lived helper process that makes nodes, ``rootfs`` what a node's first process does before it becomes its init;
``state`` keeps the marks on disk; ``provider`` puts them together behind :class:`im.providers.base.Provider`.

``spawn`` runs in a bare interpreter, so this package imports nothing by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from im.providers.local.provider import LocalProvider

__all__ = ["LocalProvider"]


def __getattr__(name: str) -> object:
    """Load the provider when it is asked for."""
    if name == "LocalProvider":
        from im.providers.local.provider import LocalProvider

        return LocalProvider
    raise AttributeError(name)
