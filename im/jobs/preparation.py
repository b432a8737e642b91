"""Brings an image to a cluster and makes it ready: once per cluster, or once per node where the engine needs it."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import IO, TYPE_CHECKING

from im.errors import JobError
from im.jobs.remote import source
from im.jobs.teller import Teller
from im.ssh.connection import command, ssh_error

if TYPE_CHECKING:
    from pathlib import Path

    from im.events import Emit
    from im.jobs.engines import ContainerEngine
    from im.jobs.facts import ClusterFacts
    from im.jobs.images import Image
    from im.plan.model import Cluster, Node

_CHUNK = 1 << 20


def ensure(
    cluster: Cluster, facts: ClusterFacts, engine: ContainerEngine, image: Image, *, nodes: tuple[str, ...], emit: Emit
) -> None:
    """Make the container of ``image`` ready for ``nodes``; at once if it is. Raises :class:`im.errors.JobError`."""
    first = cluster.front_end.name
    for place in dict.fromkeys((first, *nodes)) if engine.per_node else (first,):
        name = record_name(engine, image, place)
        if name not in facts.images:
            tell = Teller(emit, cluster.infrastructure, "job", image.container, "image")
            tell("started", "image-preparing", f"{image.reference} for {engine.name} on {place}")
            _prepare(cluster, cluster.node(place), request(facts, engine, image, name), image, tell)
            tell("finished", "image-ready", f"{image.reference} on {place}")


def record_name(engine: ContainerEngine, image: Image, node: str) -> str:
    """Return the name of the record which says that the image is ready."""
    parts = [image.container, engine.name] + ([node] if engine.per_node else [])
    return "-".join(parts)


def request(facts: ClusterFacts, engine: ContainerEngine, image: Image, name: str) -> dict[str, object]:
    """Return what :mod:`im.jobs.remote.prepare` is asked for; paths are relative to the home."""
    archive = f".im/images/{image.digest}.tar" if image.archive else ""
    return {
        "record": f".im/images/{name}.json",
        "archive": archive,
        "size": image.archive.stat().st_size if image.archive else 0,
        "keep": engine.per_node,
        "steps": engine.prepare(image, f"{facts.home}/{archive}", facts.modes.get(engine.name, "")),
        "discard": engine.discard(image),
        "facts": {"image": image.reference, "digest": image.digest, "engine": engine.name},
    }


def _prepare(cluster: Cluster, node: Node, wanted: dict[str, object], image: Image, tell: Teller) -> None:
    line = shlex.join(["python3", "-c", source("prepare"), json.dumps(wanted)])
    with subprocess.Popen(
        [*command(cluster, node, user=cluster.user), "--", line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        if image.archive and process.stdin:
            _upload(image.archive, process.stdin, tell)
        output, errors = process.communicate()
    if process.returncode == 255:
        raise ssh_error(node, errors)
    if process.returncode:
        where = f"image {image.reference} on {node.name}"
        raise JobError(_reason(output, errors), where=where, hint="see docs/running-jobs.md, images")


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
