"""Starts scans on a sub-cluster, follows them, and brings home what they made."""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import InputError, JobError, UnknownName
from im.jobs import remote as job_programs
from im.jobs.engines import Inside, choose
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.preparation import ensure
from im.jobs.sweep import points, request
from im.jobs.sweep import remote as programs
from im.jobs.teller import Teller
from im.ssh import connection
from im.ssh.transfer import get, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.events import Emit
    from im.jobs.sweep.points import Point
    from im.jobs.sweep.request import Sweep
    from im.plan.model import Cluster

Status = Mapping[str, object]

FOLDER = "sweeps"
"""Where scans lie, in the shared home."""
_PAUSE = 1.0


def create(cluster: Cluster, sweep: Sweep, wanted: Sequence[Point], *, emit: Emit) -> Status:
    """Prepare the image, bring points and programs, and start. Raises ``InputError``, ``JobError``, ``SshError``."""
    points.check_command([*sweep.words, *sweep.check], list(wanted[0]))
    image = recognise(sweep.image)
    facts = survey(cluster)
    engine = choose(sweep.engine, facts.engines)
    if len(facts.members) > 1 and "/home" not in cluster.shared:
        hint = "let the template share it between all nodes"
        raise InputError("the nodes do not share /home, where scans lie", where=cluster.name, hint=hint)
    nodes = tuple(worker.name for worker in facts.workers)
    ensure(cluster, facts, engine, image, nodes=nodes, emit=emit)
    folder = f"{facts.home}/{FOLDER}/{sweep.identifier}"
    prefix = engine.run(Inside(image.container, facts.home, folder, attached=True))
    with tempfile.TemporaryDirectory(prefix="im-sweep-") as name:
        stage(Path(name))
        document = request.description(sweep, len(wanted), prefix, facts.workers, cluster.front_end.name)
        (Path(name) / "sweep.json").write_text(document)
        (Path(name) / "points.jsonl").write_text(request.listing(wanted))
        put(cluster, cluster.front_end, Path(name), folder, user=cluster.user)
    if sweep.files:
        target = f"{folder}/files" if sweep.files.is_dir() else f"{folder}/files/{sweep.files.name}"
        put(cluster, cluster.front_end, sweep.files, target, user=cluster.user)
    return start(cluster, sweep.identifier)


def stage(folder: Path) -> None:
    """Write the programs as the packages that they are here, without all the rest of us."""
    sources = {
        "im/jobs/remote/ward.py": Path(job_programs.__file__).with_name("ward.py"),
        **{
            f"im/jobs/sweep/remote/{name}.py": Path(programs.__file__).with_name(f"{name}.py")
            for name in ("manifest", "worker", "front")
        },
    }
    for target, source in sources.items():
        path = folder / "front" / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    for package in (folder / "front").rglob("*/"):
        (package / "__init__.py").touch()


def start(cluster: Cluster, identifier: str, *, failed: bool = False) -> Status:
    """Begin an attempt at the points that are not done; with ``failed`` at those that failed."""
    return ask(cluster, identifier, "start", *(["failed"] if failed else []))


def ask(cluster: Cluster, identifier: str, *words: str) -> Status:
    """Ask the scan's program on the front-end. Raises ``UnknownName``, ``JobError``."""
    folder = place(identifier)
    line = f"cd {folder} 2>&- || exit 66; PYTHONPATH=$PWD/front exec python3 -m im.jobs.sweep.remote.front"
    script = f'{line} "$PWD" {shlex.join(words)}'
    done = connection.run(cluster, cluster.front_end, ["sh", "-c", script], user=cluster.user, timeout=120)
    if done.status == 66:
        raise UnknownName(f"there is no scan {identifier!r}", hint=f"im_client sweep status {cluster.name}")
    told = done.stderr.decode(errors="replace").strip().splitlines()
    if done.status:
        raise JobError(told[-1] if told else "the scan's program failed", where=f"scan {identifier}")
    answer: dict[str, object] = json.loads(done.stdout)
    if error := answer.get("error"):
        raise JobError(str(error), where=f"scan {identifier}", hint=str(answer.get("hint", "")))
    return answer


def place(identifier: str) -> str:
    """Return the folder of a scan, below the home. Raises ``UnknownName`` for what cannot be one."""
    if not identifier.isalnum():
        raise UnknownName(f"{identifier!r} is no scan")
    return f"{FOLDER}/{identifier}"


def follow(cluster: Cluster, identifier: str, *, emit: Emit) -> Status:
    """Tell how the scan goes until it ends, and return how it stands then."""
    tell = Teller(emit, cluster.infrastructure, "job", identifier, "sweep")
    last = ""
    while True:
        known = ask(cluster, identifier, "status")
        text = progress(known)
        if known["state"] != "running":
            tell("finished" if successful(known) else "failed", "sweep-ended", text, known)
            return known
        if text != last:
            share = {"done": known["done"], "total": known["points"]}
            tell("progress", "sweep-progress", text, share)
            last = text
        time.sleep(_PAUSE)


def successful(known: Status) -> bool:
    """Whether all points are done."""
    return known["done"] == known["points"]


def progress(known: Status) -> str:
    """Say in a line how a scan stands.

    >>> progress({"done": 5, "points": 9, "failed": 1, "running": 2, "lost": 0, "left": 70, "trouble": ""})
    '5 of 9 points done, 1 failed, 2 running; about 2 min left'
    """
    parts = [f"{known['done']} of {known['points']} points done"]
    parts += [f"{known[word]} {word}" for word in ("failed", "running", "lost") if known[word]]
    left = known.get("left")
    rest = f"; about {duration(float(str(left)))} left" if left is not None else ""
    unhappy = f"; {known['trouble']}" if known.get("trouble") and known.get("state") != "running" else ""
    return ", ".join(parts) + rest + unhappy


def duration(seconds: float) -> str:
    """Return a duration for people, rounded up."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{-int(-seconds // size)} {unit}"
    return f"{int(seconds)} s"


def identifiers(cluster: Cluster) -> list[str]:
    """Return the scans of a sub-cluster, the oldest first."""
    script = f"ls -tr {FOLDER} 2>&-; :"
    return connection.run(cluster, cluster.front_end, ["sh", "-c", script], user=cluster.user).stdout.decode().split()


def output(cluster: Cluster, identifier: str, point: int) -> tuple[bytes, bytes]:
    """Return what a point wrote on standard output and error. Raises ``UnknownName`` for one that was not begun."""
    folder = f"{place(identifier)}/points/{point}"
    found = [
        connection.run(cluster, cluster.front_end, ["cat", f"{folder}/{name}"], user=cluster.user)
        for name in ("out", "err")
    ]
    if any(done.status for done in found):
        raise UnknownName(f"point {point} of scan {identifier} has no output", hint="was it begun? see sweep status")
    return found[0].stdout, found[1].stdout


def collect(cluster: Cluster, identifier: str, target: Path) -> None:
    """Bring home a table of all points, and what each of them left in its folder."""
    ask(cluster, identifier, "table")
    folder = place(identifier)
    target.mkdir(parents=True, exist_ok=True)
    get(cluster, cluster.front_end, f"{folder}/results.csv", target / "results.csv", user=cluster.user)
    get(cluster, cluster.front_end, f"{folder}/points", target / "points", user=cluster.user)


def cancel(cluster: Cluster, identifier: str) -> Status:
    """End the scan's workers; what is done stays."""
    return ask(cluster, identifier, "cancel")
