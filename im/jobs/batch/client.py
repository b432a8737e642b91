"""Speaks to ``im-batch`` on the front-end as the cluster's user: one ssh, its output as it comes, its exit code."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from im.errors import JobError
from im.jobs.batch.request import PROGRAM, Container, submission
from im.jobs.engines import choose
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.preparation import ensure, keep
from im.ssh import connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.events import Emit
    from im.plan.model import Cluster

NOT_FOUND = 127
INTERRUPTED = 130


def submit(cluster: Cluster, container: Container, *, emit: Emit) -> str:
    """Make the image ready, submit, and return the container's id. Raises ``JobError``, ``InputError``."""
    image = recognise(container.image)
    facts = survey(cluster)
    if not facts.slurm:
        raise failure(cluster, NOT_FOUND, "")
    engine = choose(container.engine, facts.engines)
    if engine.per_node:
        keep(cluster, image, emit=emit)
    else:
        ensure(cluster, facts, engine, image, nodes=(), emit=emit)
    words = submission(container, image.container)
    done = connection.run(cluster, cluster.front_end, words, user=cluster.user, timeout=3600)
    if done.status:
        raise failure(cluster, done.status, done.stderr.decode(errors="replace"))
    return done.stdout.decode().strip()


def verb(cluster: Cluster, words: Sequence[str]) -> int:
    """Pass a verb on with its output; return its exit code. Raises :class:`JobError` where there is no batch system."""
    line = [*connection.command(cluster, cluster.front_end, user=cluster.user), "--", shlex.join([PROGRAM, *words])]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.kill()
            raise
    if code == NOT_FOUND:
        raise failure(cluster, code, "")
    return code


def run(cluster: Cluster, container: Container, *, forget: bool, emit: Emit) -> int:
    """Submit, show the output, and return the container's exit code; Ctrl-C stops the container.

    The container goes on if this client is lost, as Docker's do.
    """
    identifier = submit(cluster, container, emit=emit)
    try:
        code = verb(cluster, ["attach", identifier])
    except KeyboardInterrupt:
        verb(cluster, ["stop", identifier])
        code = INTERRUPTED
    if forget:
        connection.run(cluster, cluster.front_end, [PROGRAM, "rm", "--force", identifier], user=cluster.user)
    return code


def failure(cluster: Cluster, code: int, errors: str) -> JobError:
    """Return the error for what the front-end said."""
    if code == NOT_FOUND:
        hint = "add im.nodes.Slurm to the template's groups and deploy it again"
        return JobError("the sub-cluster has no batch system", where=cluster.name, hint=hint)
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    hint = next((line.removeprefix("next: ") for line in lines if line.startswith("next: ")), "")
    told = next((line for line in lines if line.startswith(f"{PROGRAM}: ")), lines[-1] if lines else "")
    return JobError(told.removeprefix(f"{PROGRAM}: ") or f"exit code {code}", where=cluster.name, hint=hint)
