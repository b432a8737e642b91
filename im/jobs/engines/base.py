"""What a container engine is to a job."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from im.jobs.images import Image

Steps = tuple[tuple[str, ...], ...]

PASSED = "OMPI_|PMIX_|ORTE_|OPAL_|PRTE_|PMI_|HYDRA_|HYDI_|MPI|IM_"
"""Beginnings of the variables by which launchers speak to ranks: a regular expression."""

LOADED = "{loaded}"
"""In a step: what the first step, a ``load``, called the image."""


def passed_on(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment of :meth:`ContainerEngine.run` must have, so that programs inside get these."""
    return {**variables, "IM_JOB_ENV": " ".join(f"-e {name}" for name in sorted(variables))}


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the node that a container sees."""

    source: str
    target: str
    read_only: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}" + (":ro" if self.read_only else "")


def demand(mounts: Iterable[Mount]) -> str:
    """Return lines of shell that end with 125, and say why, on a node that lacks what shall be mounted.

    Engines do not agree: Docker makes an empty folder as root, udocker passes it over.
    """
    say = "{ printf 'im: %s has no %s to mount\\n' \"$(uname -n)\" "
    sources = [shlex.quote(mount.source) for mount in mounts]
    return "".join(f"[ -e {source} ] || {say}{source} >&2; exit 125; }}\n" for source in sources)


@dataclass(frozen=True, slots=True)
class Inside:
    """What a process in a container must have.

    ``home``: the user's, mounted where it is on the node. ``folder``: where the program starts. ``user``: a name or
    id of the image, "" = the user who runs the job. ``attached``: it reads standard input; ``terminal``: from a person.
    ``together``: it may share a container with the other processes of its job on the node, if the engine can.
    """

    container: str
    home: str
    folder: str
    mounts: tuple[Mount, ...] = ()
    user: str = ""
    attached: bool = False
    terminal: bool = False
    together: bool = False


class ContainerEngine(Protocol):
    """A way to run processes of a job in containers."""

    name: str
    per_node: bool
    """Whether each node keeps its own images; else one preparation in the shared home serves all."""
    read_only_mounts: bool
    """Whether a mount can be protected from the program."""

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:
        """Return what makes ``image`` a container that processes can run in; ``archive`` is its file on the node."""

    def discard(self, image: Image) -> Steps:
        """Return what removes whatever an earlier, broken preparation left; each may fail."""

    def present(self, container: str) -> tuple[str, ...]:
        """Return what ends with exit code 0 on a node that has the image of ``container``."""

    def run(self, inside: Inside) -> tuple[str, ...]:
        """Return what stands before the program on the command line of one process. It never prepares anything."""

    def clean(self, job: str) -> tuple[str, ...]:
        """Return what removes a job's containers on a node once its processes are ended; () = nothing is left."""
