"""Container engines. Each says, as command lines, how to make an image ready on a node and how to run a process in it.

To add one: a module with a class as :class:`im.jobs.engines.base.ContainerEngine` wants it, a line in :data:`ENGINES`,
and a recipe of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from im.errors import InputError
from im.jobs.engines.base import LOADED, ContainerEngine, Inside, Mount, Steps, passed_on
from im.jobs.engines.docker import Docker, Podman
from im.jobs.engines.lxc import Lxc
from im.jobs.engines.udocker import Udocker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ENGINES", "LOADED", "ContainerEngine", "Inside", "Mount", "Steps", "choose", "passed_on"]

ENGINES: Mapping[str, ContainerEngine] = {engine.name: engine for engine in (Udocker(), Docker(), Podman(), Lxc())}


def choose(wanted: str, available: Sequence[str]) -> ContainerEngine:
    """Return the engine that the user wants, or the cluster's first. Raises :class:`im.errors.InputError`."""
    usable = [name for name in available if name in ENGINES]
    name = wanted or (usable[0] if usable else "")
    if name not in usable:
        missing = (
            f"the sub-cluster has no container engine {name!r}" if name else "the sub-cluster has no container engine"
        )
        raise InputError(
            missing,
            where="--engine",
            hint=f"it has: {', '.join(usable)}" if usable else "add one to the template and deploy it again",
        )
    return ENGINES[name]
