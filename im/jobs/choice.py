"""How an MPI job is launched, by what the image has and what the cluster has. Pure.

*hybrid*: the nodes' own launcher starts each rank in a container; library and launcher must be of one family and major
version. *inside*: the image's own launcher runs in a container on the front-end, and its daemon in one container on
each node, with that node's ranks inside: image and nodes need not match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from im.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["hybrid", "inside"]

FAMILIES = {"openmpi": "Open MPI", "mpich": "MPICH"}


@dataclass(frozen=True, slots=True)
class Library:
    """An MPI library: ``family`` ("" = there is none), ``version``, and the ``launcher`` that came with it.

    ``network`` is "ucx" where we know that its messages go through UCX.
    """

    family: str = ""
    version: str = ""
    launcher: str = ""
    network: str = ""

    def __str__(self) -> str:
        return f"{FAMILIES.get(self.family, self.family)} {self.version}".strip() or "no MPI library"

    def understands(self, other: Library) -> bool:
        """Whether this one's launcher can start programs of the other."""
        return bool(self.family) and (self.family, self._major) == (other.family, other._major)

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version."""
        return tuple(map(int, re.findall(r"\d+", self.version)))

    @property
    def _major(self) -> str:
        return self.version.partition(".")[0]


def library(known: Mapping[str, str]) -> Library:
    """Return the library that was found on a node or in an image."""
    return Library(*(known.get(key, "") for key in ("family", "version", "launcher", "network")))


def doubt(image: Library, nodes: int) -> str:
    """Return what may go wrong with an image's library on so many nodes; "" if we know of nothing.

    In MPI_Finalize a rank asks each peer that it has sent something for an answer: UCX's flush over TCP does. MPICH
    before 4.2 then waits for all ranks in a barrier of its launcher, where it answers nobody. So the rank that comes
    last waits for ever if the others got their answers before. No setting of UCX or MPICH takes that away.
    """
    if nodes < 2 or (image.family, image.network) != ("mpich", "ucx") or image.release >= (4, 2):
        return ""
    return (
        f"{image} over UCX can hang in MPI_Finalize when ranks on several nodes do not end at the same time: "
        "MPICH 4.2 does not (Debian 13 has it); --time ends a job that hangs"
    )


def choose_mode(wanted: Literal["auto", "hybrid", "inside"], cluster: Library, image: Library) -> tuple[Mode, str]:
    """Return the mode and the reason for it. Raises :class:`im.errors.InputError` where neither can work.

    An image without a library that we know is left to the nodes' launcher: it may bring its own in an unusual place.
    """
    seen = f"image: {image}, nodes: {cluster}"
    if wanted != "auto":
        return _as_wanted(wanted, cluster, image, seen), f"as you asked ({seen})"
    if cluster.understands(image) or (cluster.family == "openmpi" and not image.family):
        return "hybrid", f"the nodes' launcher starts the ranks ({seen})"
    return _as_wanted("inside", cluster, image, seen), f"the image's own launcher starts the ranks ({seen})"


def _as_wanted(mode: Mode, cluster: Library, image: Library, seen: str) -> Mode:
    if mode == "hybrid" and cluster.family != "openmpi":
        raise InputError("the nodes have no Open MPI to start ranks with", where="--mode hybrid", hint=seen)
    if mode == "hybrid" and image.family not in {"", cluster.family}:
        told = "each rank would believe that it is alone: the nodes' launcher does not speak the image's MPI"
        raise InputError(told, where="--mode hybrid", hint=f"{seen}; leave out --mode")
    if mode == "inside" and not image.launcher:
        hint = f"{seen}; put mpirun into the image, or let template and image have the same MPI"
        raise InputError(
            "the image has no MPI launcher, and the nodes' cannot start its ranks", where="image", hint=hint
        )
    return mode
