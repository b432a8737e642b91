"""What is decided about an MPI job before anything happens: places, engine, command line. Pure.

The image brings the program and an MPI library of the cluster's family; the launcher is the nodes' own (*hybrid*).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import InputError
from im.jobs.engines import ContainerEngine, Rank, choose
from im.jobs.facts import ClusterFacts
from im.jobs.placement import Share, place

if TYPE_CHECKING:
    from im.plan.model import Cluster

_AGENT = ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")


@dataclass(frozen=True, slots=True)
class MpiJob:
    """One run of an MPI program.

    ``image``: an archive file, or a registry's name. ``engine`` "" = the cluster's first. ``files``: a folder (or file)
    that becomes the content of the ranks' working folder. ``tags``: each line of output starts with its rank.
    ``patience``: the job is stopped after so many seconds without a sign of life from this client; ``grace``: seconds
    between a polite end and a hard one.
    """

    ranks: int
    image: str
    argv: tuple[str, ...]
    engine: str = ""
    files: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    tags: bool = False
    identifier: str = field(default_factory=lambda: secrets.token_hex(4))
    patience: float = 60.0
    grace: float = 3.0


@dataclass(frozen=True, slots=True)
class Launch:
    """A job with everything that was decided about it; ``binds`` are more folders of the nodes that ranks see."""

    job: MpiJob
    facts: ClusterFacts
    engine: ContainerEngine
    container: str
    shares: tuple[Share, ...]
    binds: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The ranks' working folder, in the shared home."""
        return f"{self.facts.home}/jobs/{self.job.identifier}"

    @property
    def control(self) -> str:
        """The supervisor's folder, in the shared home."""
        return f"{self.facts.home}/.im/jobs/{self.job.identifier}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that get ranks."""
        return tuple(share.node for share in self.shares)


def decide(cluster: Cluster, job: MpiJob, facts: ClusterFacts, container: str) -> Launch:
    """Place the ranks and choose the engine. Raises :class:`im.errors.InputError`."""
    if not job.argv:
        raise InputError("there is no program to run", where="mpi run", hint="give it after --")
    if facts.mpi.get("family") != "openmpi":
        hint = "add it to the template and deploy it again"
        raise InputError("the sub-cluster has no Open MPI", where=cluster.name, hint=hint)
    if len(facts.members) > 1 and "/home" not in cluster.shared:
        hint = "let the template share it between all nodes"
        raise InputError("the nodes do not share /home, where jobs and images lie", where=cluster.name, hint=hint)
    shares = place(job.ranks, facts.workers)
    return Launch(job, facts, choose(job.engine, facts.engines), container, shares)


def command_line(launch: Launch) -> tuple[str, ...]:
    """Return the ``mpirun`` command line."""
    job = launch.job
    network = launch.facts.network
    rank = Rank(launch.container, launch.facts.home, launch.folder, launch.binds)
    return (
        "mpirun",
        *("--host", ",".join(f"{share.node}:{share.ranks}" for share in launch.shares)),
        *("-np", str(job.ranks)),
        *(("--mca", "btl_tcp_if_include", network, "--mca", "oob_tcp_if_include", network) if network else ()),
        *("--mca", "btl_vader_single_copy_mechanism", "none"),
        *("--mca", "orte_launch_agent", f"env IM_JOB={job.identifier} orted"),
        *("--bind-to", launch.facts.mpi.get("binding") or "none"),
        *(("--tag-output",) if job.tags else ()),
        *(word for name in ("IM_JOB", "IM_JOB_ENV", *sorted(job.env)) for word in ("-x", name)),
        *launch.engine.rank(rank),
        *job.argv,
    )


def description(launch: Launch, front_end: str) -> dict[str, object]:
    """Return what the supervisor on the front-end must know."""
    job = launch.job
    return {
        "id": job.identifier,
        "argv": command_line(launch),
        "env": {**job.env, "IM_JOB_ENV": " ".join(f"-e {name}" for name in sorted(job.env))},
        "directory": launch.folder,
        "here": front_end,
        "nodes": launch.nodes,
        "agent": _AGENT,
        "patience": job.patience,
        "grace": job.grace,
    }
