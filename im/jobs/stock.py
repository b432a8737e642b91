"""The images that a cluster has: which, where, with what inside; fetching and removing them."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from im.errors import JobError, UnknownName
from im.jobs.choice import library
from im.jobs.engines import ENGINES, choose
from im.jobs.facts import survey
from im.jobs.images import Image, recognise
from im.jobs.preparation import AT_ONCE, BATCH, ensure, known_mpi, names
from im.ssh.connection import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from im.events import Emit
    from im.jobs.engines import ContainerEngine
    from im.jobs.facts import ClusterFacts
    from im.plan.model import Cluster


@dataclass(frozen=True, slots=True)
class Stocked:
    """An image that is ready for an engine. ``nodes`` is empty where all share it."""

    reference: str
    engine: str
    container: str
    kind: str
    digest: str
    nodes: tuple[str, ...] = ()
    mpi: Mapping[str, str] = field(default_factory=dict)

    @property
    def mpi_text(self) -> str:
        """The MPI library in words; "" if there is none that we know."""
        return str(library(self.mpi)) if self.mpi.get("family") else ""

    @property
    def mpi_details(self) -> dict[str, str]:
        """What else is known of it."""
        return {key: value for key, value in self.mpi.items() if key not in {"family", "version"}}

    def as_dict(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        plain = {key: getattr(self, key) for key in ("reference", "engine", "container", "kind", "digest")}
        return {**plain, "nodes": list(self.nodes), "mpi": dict(self.mpi)}


def listing(cluster: Cluster) -> tuple[Stocked, ...]:
    """Return the images of a cluster."""
    return stocked(survey(cluster))


def stocked(facts: ClusterFacts) -> tuple[Stocked, ...]:
    """Return what the records of a cluster tell, one entry for each image and engine. Pure."""
    found: dict[tuple[str, str], Stocked] = {}
    for record in facts.images.values():
        text = {key: str(record.get(key, "")) for key in ("image", "engine", "container", "kind", "digest", "node")}
        key = (text["container"], text["engine"])
        nodes = (*(found[key].nodes if key in found else ()), *([text["node"]] if text["node"] else []))
        found[key] = Stocked(
            text["image"], text["engine"], text["container"], text["kind"], text["digest"], nodes, known_mpi(record)
        )
    return tuple(replace(found[key], nodes=tuple(sorted(found[key].nodes))) for key in sorted(found) if key[0])


def fetch(cluster: Cluster, reference: str, engine: str, *, emit: Emit) -> Image:
    """Make an image ready on all nodes, for jobs to come."""
    image = recognise(reference)
    facts = survey(cluster)
    ensure(cluster, facts, choose(engine, facts.engines), image, nodes=tuple(m.name for m in facts.workers), emit=emit)
    return image


def one(stock: Iterable[Stocked], reference: str) -> tuple[Stocked, ...]:
    """Return the entries of an image by its name, its file's name or its container. Raises ``UnknownName``."""
    stock = tuple(stock)
    found = tuple(s for s in stock if reference in {s.reference, s.container, s.reference.rpartition("/")[2]})
    if not found:
        known = ", ".join(dict.fromkeys(s.reference for s in stock)) or "none"
        raise UnknownName(f"the sub-cluster has no image {reference!r}", hint=f"it has: {known}")
    return found


def remove(cluster: Cluster, reference: str, engine: str = "") -> tuple[Stocked, ...]:
    """Remove an image from all nodes. Raises :class:`im.errors.UnknownName`, :class:`im.errors.JobError`."""
    stock = stocked(survey(cluster))
    gone = tuple(s for s in one(stock, reference) if engine in {"", s.engine})
    needed = {s.digest for s in stock if s not in gone}
    for entry in gone:
        if entry.engine == BATCH:
            _run_all(cluster, cluster.front_end.name, [("im-batch", "rmi", "--engine=podman", entry.container)], [])
            continue
        image = Image(entry.reference, "rootfs", entry.digest)
        machine = ENGINES[entry.engine]
        there = tuple(node.name for node in cluster.nodes if node.name in entry.nodes)
        archives = () if entry.digest in needed else (f".im/images/{entry.digest}.tar",)
        for place, record in names(cluster, machine, image, there).items():
            _run_all(cluster, place, machine.discard(image), [f".im/images/{record}.json", *archives])
    return gone


def forget_missing(cluster: Cluster, engine: ContainerEngine, image: Image, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``nodes`` whose image is gone although a record says that it is there; forget these records."""
    places = names(cluster, engine, image, nodes)

    def has(place: str) -> bool:
        line = engine.present(image.container)
        return run(cluster, cluster.node(place), line, user=cluster.user).status == 0

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(places, pool.map(has, places), strict=True))
    gone = tuple(place for place in places if not found[place])
    if gone:
        _run_all(cluster, cluster.front_end.name, [], [f".im/images/{places[place]}.json" for place in gone])
    return gone


def _run_all(cluster: Cluster, node: str, steps: Sequence[Sequence[str]], files: Sequence[str]) -> None:
    script = "cd && " + " && ".join(shlex.join(step) for step in (*steps, ("rm", "-f", *files)))
    done = run(cluster, cluster.node(node), ["sh", "-c", script], user=cluster.user)
    if done.status:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise JobError(told[-1] if told else f"exit code {done.status}", where=f"node {node}")
