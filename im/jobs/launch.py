"""What is decided about an MPI job before anything happens: places, engine, mode. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, TypedDict

from im.errors import InputError
from im.jobs.choice import Mode, choose_mode, library
from im.jobs.engines import ContainerEngine, Inside, Mount, choose
from im.jobs.facts import ClusterFacts
from im.jobs.placement import Share, place

if TYPE_CHECKING:
    from im.plan.model import Cluster


@dataclass(frozen=True, slots=True)
class MpiJob:
    """One run of an MPI program.

    ``image``: an archive file, or a registry's name. ``engine`` "" = the cluster's first. ``files``: a folder (or file)
    that becomes the content of the job's folder. ``folder``: where the ranks start, from the job's folder. ``user``:
    theirs in the container, "" = the cluster's. ``limit``: seconds that it may take, 0 = for ever. ``tags``: each line
    of output starts with its rank. ``mode`` auto = by evidence, see :mod:`im.jobs.choice`.
    ``patience``: the job is stopped after so many seconds without a sign of life from this client; ``grace``: seconds
    between a polite end and a hard one.
    """

    ranks: int
    image: str
    argv: tuple[str, ...]
    engine: str = ""
    files: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    folder: str = ""
    user: str = ""
    limit: float = 0.0
    tags: bool = False
    mode: Literal["auto", "hybrid", "inside"] = "auto"
    identifier: str = field(default_factory=lambda: secrets.token_hex(4))
    patience: float = 60.0
    grace: float = 3.0


class MpiOptions(TypedDict, total=False):
    """What a caller may say of a job besides ranks, image and program; see :class:`MpiJob`."""

    engine: str
    files: Path | None
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    folder: str
    user: str
    limit: float
    tags: bool
    mode: Literal["auto", "hybrid", "inside"]


@dataclass(frozen=True, slots=True)
class Launch:
    """A job with everything that was decided about it; ``launcher`` is the image's own, for the mode *inside*.

    ``queued``: Slurm decides where the ranks go, and when; ``shares`` are then all nodes that it may take.
    """

    job: MpiJob
    facts: ClusterFacts
    engine: ContainerEngine
    container: str
    shares: tuple[Share, ...]
    mode: Mode = "hybrid"
    family: str = "openmpi"
    launcher: str = "mpirun"
    queued: bool = False

    @property
    def folder(self) -> str:
        """The job's folder, in the shared home."""
        return f"{self.facts.home}/jobs/{self.job.identifier}"

    @property
    def start(self) -> str:
        """The folder that ranks start in."""
        return str(PurePosixPath(self.folder) / self.job.folder)

    @property
    def inside(self) -> Inside:
        """What each container of the job must have; ranks that the nodes' launcher starts come to it one by one."""
        job, together = self.job, self.mode == "hybrid"
        return Inside(self.container, self.facts.home, self.start, job.mounts, job.user, together=together)

    @property
    def control(self) -> str:
        """The supervisor's folder, in the shared home."""
        return f"{self.facts.home}/.im/jobs/{self.job.identifier}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that get ranks, or may."""
        return tuple(share.node for share in self.shares)


def decide(cluster: Cluster, job: MpiJob, facts: ClusterFacts, container: str) -> Launch:
    """Place the ranks and choose the engine. Raises :class:`im.errors.InputError`."""
    if not job.argv:
        raise InputError("there is no program to run", where="mpi run", hint="give it after --")
    if len(facts.members) > 1 and "/home" not in cluster.shared:
        hint = "let the template share it between all nodes"
        raise InputError("the nodes do not share /home, where jobs and images lie", where=cluster.name, hint=hint)
    shares = place(job.ranks, facts.workers)
    engine = choose(job.engine, facts.engines)
    if any(mount.read_only for mount in job.mounts) and not engine.read_only_mounts:
        raise InputError(f"{engine.name} cannot mount read-only", where="--mount", hint="leave out :ro")
    if facts.slurm:
        shares = tuple(Share(member.name, member.slots) for member in facts.workers)
    return Launch(job, facts, engine, container, shares, queued=facts.slurm)


def with_mode(launch: Launch, known: Mapping[str, str]) -> tuple[Launch, str]:
    """Choose the mode by what is ``known`` of the image's MPI; return the reason, too."""
    image = library(known)
    mode, reason = choose_mode(launch.job.mode, library(launch.facts.mpi), image)
    if mode == "hybrid":
        return launch, reason
    return replace(launch, mode=mode, family=image.family, launcher=image.launcher), reason
