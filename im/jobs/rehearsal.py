"""What an MPI job would do, as command lines to read; nothing is changed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from im.jobs.command import allocation, command_line
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.launch import decide, with_mode
from im.jobs.preparation import known_mpi, missing, names, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.jobs.launch import MpiJob
    from im.plan.model import Cluster


def commands(cluster: Cluster, job: MpiJob) -> Sequence[str]:
    """Return shell lines, each after the name of its node.

    The mode depends on what is in the image: *hybrid* is shown until it is prepared, unless the job says.
    """
    image = recognise(job.image)
    facts = survey(cluster)
    launch = decide(cluster, job, facts, image.container)
    places = names(cluster, launch.engine, image, launch.nodes)
    lines = [
        f"{place}: {shlex.join(step)}"
        for place in missing(facts, places)
        for step in steps(facts, launch.engine, image)
    ]
    record = facts.images.get(next(iter(places.values())), {})
    if record or job.mode == "auto":
        launch, _ = with_mode(launch, known_mpi(record))
    line = f"cd {shlex.quote(launch.folder)} && {shlex.join((*allocation(launch), *command_line(launch)))}"
    return [*lines, f"{cluster.front_end.name}: {line}"]
