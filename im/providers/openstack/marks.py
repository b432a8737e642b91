"""How our objects on an OpenStack cloud say whose they are: in names, descriptions, metadata and tags. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from im.plan.model import NodeSpec

LONGEST_VALUE = 255
LONGEST_NAME = 63
"""A server's name becomes its host name, and DNS allows no more."""
LONGEST_BATCH = 500

INFRASTRUCTURE = "im.infrastructure"
GROUP = "im.group"
STEM = "im.stem"
NODES = "im.nodes."
OUTSIDE = "im.outside"
"""Name of an external network that the server is on directly: what it gives is a public address."""
EXISTING = "im.volume."
VOLUME = "im.volume"
TOKEN = "im.token"  # noqa: S105 -- the name of a metadata key

_DESCRIPTION = re.compile(
    r"im:(?P<infrastructure>[0-9a-f]+) (?P<role>[a-z-]+)(?: (?P<key>.*?))??"
    r"(?: until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?",
    re.DOTALL,
)
_NAME = re.compile(r"im-([0-9a-f]{8})-")


class Mark(NamedTuple):
    """What the description of a network, router, security group or address says.

    ``role``: ``network``, ``router``, ``inside`` (the security group of all nodes), ``group`` (the one of a group),
    ``address``. ``key``: the network's or group's name in the template. ``until``: when the infrastructure's lifetime
    ends, in UTC; the mark of ``inside`` has it.
    """

    infrastructure: str
    role: str
    key: str = ""
    until: str = ""


def described(mark: Mark) -> str:
    """Return the description that carries a mark."""
    text = f"im:{mark.infrastructure} {mark.role} {mark.key}".rstrip()
    return f"{text} until {mark.until}" if mark.until else text[:LONGEST_VALUE]


def mark_of(description: str | None) -> Mark | None:
    """Return the mark in a description, if it is one of ours."""
    found = _DESCRIPTION.fullmatch(description or "")
    return Mark(found["infrastructure"], found["role"], found["key"] or "", found["until"] or "") if found else None


def tags_of(infrastructure: str) -> list[str]:
    """Return the tags that people can list our objects by; neither nova's nor neutron's may have commas or slashes."""
    return ["im", f"im:{infrastructure}"]


def moment(time: datetime | None) -> str:
    """Return a time as marks have it; "" for None."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if time else ""


def time_of(moment: str) -> datetime | None:
    """Return the time in a mark; None where there is none, or somebody has written nonsense."""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def name_of(infrastructure: str, *words: str) -> str:
    """Return a name for people that begins with our mark, such as ``im-1a2b3c4d-lab-worker``."""
    plain = [re.sub(r"[^a-z0-9-]+", "-", word.lower()).strip("-") for word in words]
    head = f"im-{infrastructure}-"
    room = LONGEST_NAME - len(head) - 5
    tail = "-".join(word for word in plain if word)
    return head + (tail if len(tail) <= room else f"{tail[: room // 2 - 1]}-{tail[-(room // 2) :]}".replace("--", "-"))


def infrastructure_of(name: str) -> str:
    """Return the infrastructure in a name of ours, for the few objects that have nothing else; "" if it is not ours."""
    found = _NAME.match(name)
    return found[1] if found else ""


def name_filter(infrastructure: str | None) -> str:
    """Return the regular expression that nova lists our servers by."""
    return f"^im-{re.escape(infrastructure)}-" if infrastructure else "^im-"


@dataclass(frozen=True, slots=True)
class NodeMark:
    """One node of a batch."""

    index: int
    token: str
    name: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What all servers of one create call carry: who they are, in the order in which the cloud numbers them."""

    infrastructure: str
    group: str
    nodes: tuple[NodeMark, ...]

    @classmethod
    def of(cls, specs: Sequence[NodeSpec]) -> Batch:
        """Return the mark of specs that go into one call."""
        nodes = tuple(NodeMark(spec.index, spec.token, spec.name) for spec in specs)
        return cls(specs[0].infrastructure, specs[0].group, nodes)

    @property
    def stem(self) -> str:
        """What the nodes' names have before their index; "" if not all are made that way."""
        first = self.nodes[0]
        stem = first.name.removesuffix(f"-{first.index}")
        return stem if all(node.name == f"{stem}-{node.index}" for node in self.nodes) else ""

    def base(self, label: str) -> str:
        """Return the name to ask for: one server gets it as it is, many get a number after it.

        Nodes 1 to n are called by their own names; a later batch is called after its first node.
        """
        first = self.nodes[0]
        whole = self.stem and [node.index for node in self.nodes] == list(range(1, len(self.nodes) + 1))
        tail = self.stem if whole and len(self.nodes) > 1 else first.name
        return name_of(self.infrastructure, label, tail)

    def node(self, server_name: str) -> NodeMark | None:
        """Return which node the server of that name is: the k-th server is the k-th node."""
        if len(self.nodes) == 1:
            return self.nodes[0]
        number = server_name.rpartition("-")[2]
        place = int(number) if number.isdecimal() else 0
        return self.nodes[place - 1] if 1 <= place <= len(self.nodes) else None


def to_metadata(batch: Batch) -> dict[str, str]:
    """Return a batch as server metadata: a few short values, whatever its size."""
    stem = batch.stem
    entries = [f"{node.index}:{node.token}" + ("" if stem else f":{node.name}") for node in batch.nodes]
    return {
        INFRASTRUCTURE: batch.infrastructure,
        GROUP: batch.group,
        **({STEM: stem} if stem else {}),
        **{f"{NODES}{number:03d}": line for number, line in enumerate(_lines(entries))},
    }


def from_metadata(metadata: Mapping[str, str]) -> Batch | None:
    """Return the batch in a server's metadata; None if the server is not ours."""
    if not metadata.get(INFRASTRUCTURE) or GROUP not in metadata:
        return None
    stem = metadata.get(STEM, "")
    lines = [value for key, value in sorted(metadata.items()) if key.startswith(NODES)]
    nodes = []
    for entry in " ".join(lines).split():
        index, _, rest = entry.partition(":")
        token, _, name = rest.partition(":")
        if not index.isdecimal():
            return None
        nodes.append(NodeMark(int(index), token, name or f"{stem}-{index}"))
    return Batch(metadata[INFRASTRUCTURE], metadata[GROUP], tuple(nodes)) if nodes else None


def batches(specs: Sequence[NodeSpec]) -> tuple[tuple[NodeSpec, ...], ...]:
    """Return specs in as few calls as can be: those of one call differ in nothing but who they are."""
    found: list[tuple[NodeSpec, ...]] = []
    for _, equal in groupby(sorted(specs, key=_kind), key=_kind):
        same = sorted(equal, key=lambda spec: spec.index)
        found += [tuple(same[at : at + LONGEST_BATCH]) for at in range(0, len(same), LONGEST_BATCH)]
    return tuple(found)


def _kind(spec: NodeSpec) -> tuple[str, ...]:
    wanted = (spec.image, spec.flavor, spec.cpus, spec.memory, spec.disk, spec.networks, spec.volumes)
    where = (spec.availability_zone, spec.placement, spec.boot_volume, spec.user_data, spec.public, spec.key_pair)
    return (spec.infrastructure, spec.group, repr(wanted), repr(where))


def _lines(entries: Sequence[str]) -> list[str]:
    """Pack words into lines that metadata can hold."""
    lines = [""]
    for entry in entries:
        longer = f"{lines[-1]} {entry}".strip()
        if len(longer) <= LONGEST_VALUE:
            lines[-1] = longer
        else:
            lines.append(entry)
    return lines
