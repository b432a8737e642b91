"""Brings an image to a cluster and makes it ready: once per cluster, or once per node where the engine needs it."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

from im.errors import JobError
from im.jobs.credentials import account, registry_of
from im.jobs.engines import Inside
from im.jobs.remote import source
from im.jobs.teller import Teller
from im.ssh.connection import command, ssh_error

if TYPE_CHECKING:
    from pathlib import Path

    from im.events import Emit
    from im.jobs.engines import ContainerEngine, Steps
    from im.jobs.facts import ClusterFacts
    from im.jobs.images import Image
    from im.plan.model import Cluster, Node

AT_ONCE = 16
"""Nodes that fetch an image from the shared home or the registry at the same time."""

BATCH = "batch"
"""Stands for the engines of batch jobs that take an image from its archive: Podman and Docker."""

_CHUNK = 1 << 20


Record = Mapping[str, object]


def ensure(
    cluster: Cluster, facts: ClusterFacts, engine: ContainerEngine, image: Image, *, nodes: tuple[str, ...], emit: Emit
) -> Record:
    """Make the container of ``image`` ready for ``nodes``, at once if it is; return what is known of it.

    Each node that keeps images of its own gets it; the front-end always does. Raises :class:`im.errors.JobError`.
    """
    tell = _teller(cluster, image, emit)
    wanted = names(cluster, engine, image, nodes)

    def ready(place: str) -> Record:
        name = wanted[place]
        return facts.images.get(name) or _make(cluster, place, request(facts, engine, image, place, name), image, tell)

    if len(missing(facts, wanted)) > 1:
        bring(cluster, image, emit=emit)
    with ThreadPoolExecutor(min(len(wanted), AT_ONCE)) as pool:
        return next(iter(list(pool.map(ready, wanted))))


def bring(cluster: Cluster, image: Image, *, emit: Emit) -> None:
    """Bring the archive, if the image is one, to the shared home, where all nodes find it, unless it is there.

    Raises :class:`im.errors.JobError`.
    """
    if image.archive:
        wanted = _archive_request(image, image.digest)
        _prepare(cluster, cluster.front_end, wanted, image, _teller(cluster, image, emit))


def keep(cluster: Cluster, image: Image, *, emit: Emit) -> None:
    """Have the image's archive in the shared home for jobs of the batch system, unless it is there.

    What a registry holds, ``im-batch`` fetches on the front-end. Raises :class:`im.errors.JobError`.
    """
    bring(cluster, image, emit=emit)
    name = f"{image.container}-{BATCH}"
    steps = () if image.archive else (("im-batch", "pull", "--engine=podman", image.reference),)
    wanted = {
        **_archive_request(image, name),
        "keep": True,
        "steps": steps,
        "discard": (),
        "account": _registry(image),
        "look": (),
        "facts": _facts(image, BATCH),
    }
    _prepare(cluster, cluster.front_end, wanted, image, _teller(cluster, image, emit))


def _teller(cluster: Cluster, image: Image, emit: Emit) -> Teller:
    return Teller(emit, cluster.infrastructure, "job", image.container, "image")


def known_mpi(record: Record) -> dict[str, str]:
    """Return what a record tells of the image's MPI library."""
    known = record.get("mpi")
    return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def names(cluster: Cluster, engine: ContainerEngine, image: Image, nodes: tuple[str, ...]) -> dict[str, str]:
    """Return the nodes that must have the image, the front-end first, each with the name of its record."""
    first = cluster.front_end.name
    places = dict.fromkeys((first, *nodes)) if engine.per_node else (first,)
    return {place: record_name(engine, image, cluster.node(place)) for place in places}


def _make(cluster: Cluster, place: str, wanted: Mapping[str, object], image: Image, tell: Teller) -> Record:
    tell("started", "image-preparing", f"{image.reference} on {place}")
    record = _prepare(cluster, cluster.node(place), wanted, image, tell)
    tell("finished", "image-ready", f"{image.reference} on {place}")
    return record


def missing(facts: ClusterFacts, places: Mapping[str, str]) -> dict[str, str]:
    """Return those of ``places`` (node: record) that do not have the image yet."""
    return {place: name for place, name in places.items() if name not in facts.images}


def record_name(engine: ContainerEngine, image: Image, node: Node) -> str:
    """Return the name of the record which says that the image is ready.

    A node that takes the place of another has its name, but not its disk: the token tells them apart.
    """
    own = [node.name, hashlib.sha256(node.token.encode()).hexdigest()[:8]] if engine.per_node else []
    return "-".join([image.container, engine.name, *own])


def request(facts: ClusterFacts, engine: ContainerEngine, image: Image, place: str, record: str) -> dict[str, object]:
    """Return what :mod:`im.jobs.remote.prepare` is asked for; paths are relative to the home."""
    return {
        **_archive_request(image, record),
        "keep": engine.per_node,
        "steps": steps(facts, engine, image),
        "discard": engine.discard(image),
        "account": _registry(image),
        "look": look(facts, engine, image),
        "facts": {**_facts(image, engine.name), "node": place if engine.per_node else ""},
    }


def _archive_request(image: Image, record: str) -> dict[str, object]:
    size = image.archive.stat().st_size if image.archive else 0
    return {"record": f".im/images/{record}.json", "archive": archive_path(image), "size": size}


def _registry(image: Image) -> str:
    return registry_of(image.reference) if image.kind == "registry" else ""


def _facts(image: Image, engine: str) -> dict[str, object]:
    known = {"image": image.reference, "digest": image.digest, "container": image.container, "kind": image.kind}
    return {**known, "engine": engine}


def archive_path(image: Image) -> str:
    """Return where an archive goes, below the home; "" if there is none."""
    return f".im/images/{image.digest}.tar" if image.archive else ""


def steps(facts: ClusterFacts, engine: ContainerEngine, image: Image) -> Steps:
    """Return the command lines that make the image ready."""
    return engine.prepare(image, f"{facts.home}/{archive_path(image)}", facts.modes.get(engine.name, ""))


def look(facts: ClusterFacts, engine: ContainerEngine, image: Image) -> tuple[str, ...]:
    """Return what tells the MPI library of an image; of one without system of its own there is nothing to tell."""
    if image.bare:
        return ()
    inside = Inside(image.container, facts.home, facts.home)
    return (*engine.run(inside), "/bin/sh", "-c", source("look_inside.sh"))


def _prepare(cluster: Cluster, node: Node, wanted: Mapping[str, object], image: Image, tell: Teller) -> Record:
    line = shlex.join(["python3", "-c", source("prepare"), json.dumps(wanted)])
    with subprocess.Popen(
        [*command(cluster, node, user=cluster.user), "--", line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        if image.archive and process.stdin:
            _upload(image.archive, process.stdin, tell)
        output, errors = process.communicate(None if image.archive else account(image.reference).encode())
    if process.returncode == 255:
        raise ssh_error(node, errors)
    if process.returncode:
        where = f"image {image.reference} on {node.name}"
        raise JobError(_reason(output, errors), where=where, hint="see docs/running-jobs.md, images")
    record: Record = json.loads(output)
    return record


def _upload(archive: Path, stream: IO[bytes], tell: Teller) -> None:
    """Send the archive; tell at every tenth of it."""
    size = archive.stat().st_size
    done = 0
    try:
        with archive.open("rb") as file:
            while chunk := file.read(_CHUNK):
                stream.write(chunk)
                tenth = done * 10 // size
                done += len(chunk)
                if done * 10 // size > tenth:
                    message = f"sent {done >> 20} of {size >> 20} MiB"
                    tell("progress", "image-upload", message, {"done": done, "total": size})
    except BrokenPipeError:
        return  # the node has it already, or gave up: its answer says which


def _reason(output: bytes, errors: bytes) -> str:
    try:
        return str(json.loads(output)["error"])
    except (ValueError, KeyError):
        lines = errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the preparation ended without a word"
