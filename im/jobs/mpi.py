"""Runs an MPI job on a sub-cluster: image, files, supervisor, result."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from im.errors import JobError
from im.jobs.choice import doubt, library
from im.jobs.command import control_files, description
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.launch import Launch, MpiJob, decide, with_mode
from im.jobs.preparation import ensure, known_mpi
from im.jobs.session import TIME_OVER, Output, attend
from im.jobs.stock import forget_missing
from im.jobs.teller import Teller
from im.ssh import connection
from im.ssh.transfer import put

if TYPE_CHECKING:
    import threading

    from im.events import Emit
    from im.plan.model import Cluster

INTERRUPTED = 130
LIMITED = 124

__all__ = ["MpiJob", "perform", "run"]


def run(cluster: Cluster, job: MpiJob, *, emit: Emit, stdout: Output = None, stderr: Output = None) -> int:
    """Run the job to its end and return the program's exit code.

    Output goes to ``stdout`` and ``stderr`` (None: ours) as it is written. Ctrl-C is passed on; a second one ends the
    job at once. Raises :class:`im.errors.InputError` before anything starts, :class:`im.errors.JobError` where the job
    could not be run, :class:`im.errors.SshError`.
    """
    image = recognise(job.image)
    facts = survey(cluster)
    launch = decide(cluster, job, facts, image.container)
    record = ensure(cluster, facts, launch.engine, image, nodes=launch.nodes, emit=emit)
    known = known_mpi(record)
    launch, reason = with_mode(launch, known)
    tell = Teller(emit, cluster.infrastructure, "job", job.identifier, "job")
    tell("progress", "mode", f"{launch.mode}: {reason}")
    if warning := doubt(library(known), len(launch.nodes)):
        tell("note", "mpi-doubt", warning)
    code = perform(cluster, launch, emit=emit, stdout=stdout, stderr=stderr)
    if code not in {0, INTERRUPTED, LIMITED} and (gone := forget_missing(cluster, launch.engine, image, launch.nodes)):
        where, hint = f"node {', '.join(gone)}", "run it again: the image is brought there anew"
        raise JobError(f"the image {image.reference} is not there any more", where=where, hint=hint)
    return code


def perform(
    cluster: Cluster,
    launch: Launch,
    *,
    emit: Emit,
    stdout: Output = None,
    stderr: Output = None,
    limit: float | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Start and attend a job whose image is ready; return the program's exit code.

    A job that runs for more than ``limit`` seconds, or until ``stop`` is set, is stopped, and its code is -1.
    """
    tell = Teller(emit, cluster.infrastructure, "job", launch.job.identifier, "job")
    if files := launch.job.files:
        target = launch.folder if files.is_dir() else f"{launch.folder}/{files.name}"
        put(cluster, cluster.front_end, files, target, user=cluster.user)
    places = ", ".join(f"{share.node} {share.ranks}" for share in launch.shares)
    placed = "where Slurm has room" if launch.queued else places
    tell("started", "job-started", f"{launch.job.ranks} ranks ({placed}) in {launch.folder}")
    control = shlex.quote(launch.control)
    made = launch.start if launch.start.startswith(launch.folder) else launch.folder
    programs = _programs(launch, cluster.front_end.name)
    line = (
        f"mkdir -p {shlex.quote(made)} {control} && head -c {len(programs)} | tar -x --no-same-owner -f - -C {control}"
        f" && exec python3 {control}/supervisor.py {control}"
    )
    prefix = connection.command(cluster, cluster.front_end, user=cluster.user)
    code = attend([*prefix, "--", line], first=programs, stdout=stdout, stderr=stderr, limit=limit, stop=stop)
    result = _outcome(cluster, launch, code)
    code = -1 if code == TIME_OVER else exit_code(result)
    tell("failed" if code else "finished", "job-ended", f"exit code {code}", result)
    return code


def exit_code(result: Mapping[str, object]) -> int:
    """Return the program's exit code.

    After a Ctrl-C it is 130, as in a shell (mpirun then says 1 for any program); after the limit of time 124.
    """
    code = int(str(result["code"]))
    if result["reason"] == "limit":
        return LIMITED
    return INTERRUPTED if code and result["reason"] in {"interrupt", "stop"} else code


def _programs(launch: Launch, front_end: str) -> bytes:
    """Return an archive of the supervisor and what it needs, which goes ahead of the orders to it."""
    texts = {**control_files(launch), "job.json": json.dumps(description(launch, front_end))}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content := text.encode()), 0o755
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _outcome(cluster: Cluster, launch: Launch, code: int) -> Mapping[str, object]:
    """Return how the job ended, as the supervisor wrote it down; clear away what is not the user's."""
    folder, control = shlex.quote(launch.folder), shlex.quote(launch.control)
    script = f"cat {control}/status.json && rm -rf {control}; rmdir {folder} 2>&-; :"
    where = f"job {launch.job.identifier}"
    done = connection.run(cluster, cluster.front_end, ["sh", "-c", script], user=cluster.user)
    if not done.stdout:
        raise JobError(
            f"the job's supervisor ended without a result (exit code {code})",
            where=where,
            hint="the connection broke, or the front-end was restarted; the job's processes are ended in either case",
        )
    status: Mapping[str, object] = json.loads(done.stdout)
    if error := status.get("error"):
        raise JobError(str(error), where=where)
    return status
