"""Proves that the nodes work as one cluster, before it is called ready."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import ImError, PreflightError
from im.jobs.diagnosis import Problem, mesh_problems, mpi_problem
from im.jobs.engines import Mount, choose
from im.jobs.facts import survey
from im.jobs.images import Image
from im.jobs.launch import Launch, MpiJob
from im.jobs.mpi import perform
from im.jobs.placement import spread
from im.jobs.preparation import ensure
from im.jobs.remote import source
from im.jobs.stock import forget_missing
from im.jobs.teller import Teller
from im.ssh.connection import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.events import Emit, Kind
    from im.jobs.facts import ClusterFacts
    from im.plan.model import Cluster
    from im.topology.model import Topology

MARKER = "/im-preflight"
RANKS = 2
SSH_TIMEOUT = 10
MPI_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the MPI run: problems, or what is to be told."""

    problems: tuple[Problem, ...] = ()
    kind: Kind = "progress"
    code: str = "mpi"
    message: str = ""


def preflight(cluster: Cluster, topology: Topology, *, emit: Emit) -> None:
    """Check names, SSH, clocks and shared folders from every node; at the same time run two MPI ranks in containers.

    Raises :class:`im.errors.PreflightError` with node and check of the first problem. What is wrong between the nodes
    is judged first, and ends the MPI run: it could only fail for the same reason.
    """
    tell = Teller(emit, cluster.infrastructure, "infrastructure", cluster.name, "preflight")
    tell("started", "preflight", f"{len(cluster.nodes)} nodes")
    broken = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="mesh") as pool:
        looking = pool.submit(_look, cluster, broken)
        verdict = check_mpi(cluster, topology, emit, broken)
        _judge(looking.result(), tell)
    tell("progress", "mesh", "names, SSH, clocks and shared folders are right on every node")
    _judge(verdict.problems, tell)
    tell(verdict.kind, verdict.code, verdict.message)
    tell("finished", "preflight", "the nodes work as one cluster")


def _look(cluster: Cluster, broken: threading.Event) -> tuple[Problem, ...]:
    """Check the mesh; set ``broken`` unless all is right."""
    problems: tuple[Problem, ...] | None = None
    try:
        problems = check_mesh(cluster)
    finally:
        if problems != ():
            broken.set()
    return problems


def check_mesh(cluster: Cluster) -> tuple[Problem, ...]:
    """Look at the cluster from all nodes at once, in one round trip to the front-end."""
    addresses = {node.name: node.private_address for node in cluster.nodes}
    request = {
        "nodes": list(addresses),
        "here": cluster.front_end.name,
        "probe": source("probe"),
        "shared": cluster.shared,
        "timeout": SSH_TIMEOUT,
    }
    argv = ["python3", "-c", source("mesh"), json.dumps(request)]
    done = run(cluster, cluster.front_end, argv, user=cluster.user, timeout=SSH_TIMEOUT * 10 + len(addresses))
    if done.status:
        told = (done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        return (Problem(cluster.front_end.name, "ssh", f"cannot look at the cluster from there: {told}"),)
    return mesh_problems(addresses, json.loads(done.stdout))


def check_mpi(cluster: Cluster, topology: Topology, emit: Emit, stop: threading.Event) -> Verdict:
    """Run two ranks in containers, on two nodes if there are two that take ranks; until somebody sets ``stop``."""
    if missing := what_mpi_misses(topology):
        return _skipped(f"the template has no {missing}")
    nodes: tuple[str, ...] = (cluster.front_end.name,)
    try:
        facts = survey(cluster)
        shares = spread(RANKS, facts.workers)
        if not shares or sum(member.slots for member in facts.workers) < RANKS:
            return _skipped(f"no node takes {RANKS} ranks")
        nodes = tuple(share.node for share in shares)
        problem = _run_ranks(cluster, facts, emit, stop)
    except ImError as error:
        problem = Problem(", ".join(nodes), "mpi", str(error))
    if problem:
        return Verdict((problem,))
    return Verdict(message=f"{RANKS} ranks in containers on {', '.join(nodes)}")


def _skipped(reason: str) -> Verdict:
    return Verdict(kind="note", code="mpi-skipped", message=f"no MPI run: {reason}")


def _run_ranks(
    cluster: Cluster, facts: ClusterFacts, emit: Emit, stop: threading.Event, *, once_more: bool = True
) -> Problem | None:
    """Run them, and once more where a node has lost the image that it had."""
    engine = choose("", facts.engines)
    shares = spread(RANKS, facts.workers)
    mounts = tuple(Mount(path, path) for path in BORROWED)
    job = MpiJob(RANKS, "preflight", ("/usr/bin/python3", "-c", source("mpi_check"), MARKER), mounts=mounts)
    with tempfile.TemporaryDirectory(prefix="im-preflight-") as name:
        folder = Path(name)
        image = tiny_image(folder)
        launch = Launch(job, facts, engine, image.container, shares)
        ensure(cluster, facts, engine, image, nodes=launch.nodes, emit=emit)
        with (folder / "out").open("w+") as output, (folder / "err").open("w+") as errors:
            outputs = {"stdout": output.fileno(), "stderr": errors.fileno()}
            code = perform(cluster, launch, emit=_nobody, limit=MPI_LIMIT, stop=stop, **outputs)
            if code > 0 and once_more and forget_missing(cluster, engine, image, launch.nodes):
                return _run_ranks(cluster, survey(cluster), emit, stop, once_more=False)
            output.seek(0)
            errors.seek(0)
            return mpi_problem(RANKS, launch.nodes, code, output.read(), errors.read())


def what_mpi_misses(topology: Topology) -> str:
    """Return what the topology lacks for an MPI run in containers; "" if it has all."""
    provided = {capability for software in topology.software for capability in software.provides}
    names = {"mpi": "MPI library", "container_engine": "container engine"}
    return " and no ".join(name for capability, name in names.items() if capability not in provided)


BORROWED = ("/usr", "/etc/alternatives", "/etc/ld.so.cache", "/etc/openmpi")
"""What the tiny image borrows from the node."""

_FOLDERS = ("dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var")
_LINKS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")


def tiny_image(folder: Path) -> Image:
    """Write an image of empty folders, links into ``/usr`` and the marker; the same bytes each time."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in _FOLDERS:
            archive.addfile(_member(name, tarfile.DIRTYPE))
        for name in _LINKS:
            archive.addfile(_member(name, tarfile.SYMTYPE, link=f"usr/{name}"))
        archive.addfile(_member(MARKER.lstrip("/"), tarfile.REGTYPE))
    path = folder / "preflight.tar"
    path.write_bytes(content.getvalue())
    return Image("the preflight's image", "rootfs", hashlib.sha256(content.getvalue()).hexdigest(), path, bare=True)


def _member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o755
    return member


def _judge(problems: Sequence[Problem], tell: Teller) -> None:
    """Tell all problems, and raise the first."""
    for problem in problems:
        evidence = {"evidence": problem.evidence} if problem.evidence else None
        tell("failed", f"preflight-{problem.check.replace(' ', '-')}", str(problem), evidence)
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        where = f"node {first.node}, {first.check}"
        raise PreflightError(first.message + more, where=where, hint=first.hint)


def _nobody(_event: object) -> None:
    """Take no notice: the preflight tells its own result."""
