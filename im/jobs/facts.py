"""What a job must know of its cluster, as contextualization left it on the front-end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from im.errors import JobError
from im.ssh.connection import run

if TYPE_CHECKING:
    from im.plan.model import Cluster


@dataclass(frozen=True, slots=True)
class Member:
    """A node as MPI sees it; ``slots`` is how many ranks it takes."""

    name: str
    address: str
    slots: int


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The cluster from a job's point of view.

    ``network``: interface name or CIDR that ranks talk over ("" = let MPI choose). ``modes``: container engine to
    execution mode. ``registry``: the cluster's own. ``slurm``: it places the ranks. ``images``: the records of what is
    prepared, by name; what is known of each one's MPI is in ``mpi``.
    """

    home: str
    members: tuple[Member, ...]
    engines: tuple[str, ...] = ()
    network: str = ""
    mpi: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    registry: str = ""
    slurm: bool = False
    images: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def workers(self) -> tuple[Member, ...]:
        """The nodes that take ranks."""
        return tuple(member for member in self.members if member.slots > 0)


_SURVEY = """
import json, pathlib, shutil
def read(path):
    try: return json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError: return {}
home = pathlib.Path.home()
print(json.dumps({"home": str(home), "cluster": read("/etc/im/cluster.json"), "engine": read("/etc/im/engine.json"),
                  "slurm": {"present": shutil.which("salloc") is not None},
                  "images": {file.stem: read(file) for file in (home / ".im/images").glob("*.json")}}))
"""


def survey(cluster: Cluster) -> ClusterFacts:
    """Ask the front-end, in one round trip. Raises :class:`im.errors.JobError`, :class:`im.errors.SshError`."""
    done = run(cluster, cluster.front_end, ["python3", "-c", _SURVEY], user=cluster.user)
    if done.status:
        raise JobError(
            "the front-end cannot say what the cluster has",
            where=cluster.name,
            hint=(done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1],
        )
    facts = parse(json.loads(done.stdout))
    if not facts.members:
        raise JobError(
            "the front-end does not know its cluster",
            where=cluster.name,
            hint="the sub-cluster is not contextualized yet: deploy it again",
        )
    return facts


def parse(answer: Mapping[str, Mapping[str, object]]) -> ClusterFacts:
    """Make facts of the front-end's answer."""
    known: Mapping[str, object] = answer["cluster"]
    return ClusterFacts(
        home=str(answer["home"]),
        members=tuple(
            Member(str(node["name"]), str(node.get("address", "")), int(node.get("slots", 0)))
            for node in _mappings(known.get("nodes"))
        ),
        engines=tuple(map(str, _list(known.get("engines")))),
        network=str(known.get("network") or known.get("interface") or ""),
        mpi={key: str(value) for key, value in _mapping(known.get("mpi")).items()},
        modes={
            engine: str(_mapping(facts)["mode"])
            for engine, facts in answer["engine"].items()
            if "mode" in _mapping(facts)
        },
        registry=str(known.get("registry") or ""),
        slurm=bool(_mapping(answer.get("slurm")).get("present")),
        images={name: _mapping(record) for name, record in _mapping(answer.get("images")).items()},
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Mapping[str, int | str]]:
    return [item for item in _list(value) if isinstance(item, dict)]
