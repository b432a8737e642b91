"""The command lines of a launched job. Pure."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from im.jobs.engines import passed_on
from im.jobs.remote import source
from im.jobs.remote.supervisor import HOSTS

if TYPE_CHECKING:
    from im.jobs.launch import Launch

_SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")


def command_line(launch: Launch) -> tuple[str, ...]:
    """Return what starts the whole job, on the front-end."""
    if launch.mode == "hybrid":
        return (*_open_mpi(launch), *launch.engine.run(launch.inside), *launch.job.argv)
    inner = _open_mpi(launch) if launch.family == "openmpi" else _hydra(launch)
    return (*launch.engine.run(launch.inside), *inner, *launch.job.argv)


def _open_mpi(launch: Launch) -> tuple[str, ...]:
    job = launch.job
    network = launch.facts.network
    return (
        launch.launcher,
        *("--host", _hosts(launch)),
        *("-np", str(job.ranks)),
        *(("--mca", "btl_tcp_if_include", network, "--mca", "oob_tcp_if_include", network) if network else ()),
        *("--mca", "btl_vader_single_copy_mechanism", "none"),
        *_daemon(launch),
        *("--bind-to", launch.facts.mpi.get("binding") or "none"),
        *(("--tag-output",) if job.tags else ()),
        *(word for name in ("IM_JOB", "IM_JOB_ENV", *sorted(job.env)) for word in ("-x", name)),
    )


def _daemon(launch: Launch) -> tuple[str, ...]:
    """Say how Open MPI starts its daemon on a node: marked as ours, or in a container by way of the supervisor."""
    if launch.mode == "hybrid":
        return "--mca", "orte_launch_agent", f"env IM_JOB={launch.job.identifier} orted"
    agent = ("--mca", "plm_rsh_agent", _agent(launch), "--mca", "plm_rsh_no_tree_spawn", "1")
    return *agent, "--leave-session-attached"


def _hydra(launch: Launch) -> tuple[str, ...]:
    """Return the start of MPICH's launcher, which passes on its whole environment."""
    return (
        launch.launcher,
        *("-launcher", "ssh", "-launcher-exec", _agent(launch)),
        *("-hosts", _hosts(launch)),
        *("-n", str(launch.job.ranks)),
        *(("-prepend-rank",) if launch.job.tags else ()),
    )


def _hosts(launch: Launch) -> str:
    """Return the nodes with their ranks; what Slurm decides, the supervisor fills in."""
    return HOSTS if launch.queued else ",".join(f"{share.node}:{share.ranks}" for share in launch.shares)


def allocation(launch: Launch) -> tuple[str, ...]:
    """Return what asks Slurm for nodes, if it decides; it holds them as long as the command after it runs."""
    if not launch.queued:
        return ()
    job = launch.job
    limit = (f"--time={ceil(job.limit / 60) + 1}",) if job.limit else ()
    names = f"--job-name=im-{job.identifier}", f"--comment=im-batch {job.identifier} {job.image}"
    return "salloc", "--quiet", f"--ntasks={job.ranks}", *names, *limit


def _agent(launch: Launch) -> str:
    return f"{launch.control}/agent"


def description(launch: Launch, front_end: str) -> dict[str, object]:
    """Return what the supervisor on the front-end must know."""
    job = launch.job
    return {
        "id": job.identifier,
        "argv": command_line(launch),
        "env": passed_on(job.env),
        "directory": launch.folder,
        "here": front_end,
        "allocate": allocation(launch),
        "release": (("scancel", "--quiet", f"--name=im-{job.identifier}"),) if launch.queued else (),
        "nodes": () if launch.queued else launch.nodes,
        "agent": _SSH,
        "letters": (_SSH, ("--",)),
        "enter": launch.engine.run(launch.inside) if launch.mode == "inside" else (),
        "clean": _clean(launch),
        "limit": job.limit,
        "patience": job.patience,
        "grace": job.grace,
    }


def _clean(launch: Launch) -> tuple[tuple[str, ...], ...]:
    """Return what ends on a node what its ward may not: processes of another user, containers that are held."""
    job = launch.job
    ours = ("sudo", "-n", "python3", f"{launch.control}/ward.py", "end", job.identifier, "0")
    lines = (ours if job.user else (), launch.engine.clean(job.identifier))
    return tuple(line for line in lines if line)


def control_files(launch: Launch) -> dict[str, str]:
    """Return the programs that the job needs on the front-end beside its description, by name."""
    programs = {f"{name}.py": source(name) for name in ("supervisor", "ward")}
    if launch.mode == "inside":
        programs["agent"] = source("agent.sh").replace("@MAIL@", f"{launch.control}/mail")
    return programs
