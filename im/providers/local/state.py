"""The marks on disk: what was asked for, written before it is made, so that a new process finds everything again.

::

    $IM_HOME/local/<infrastructure>/lock            held while somebody changes it
                                   /network.json    its subnet
                                   /shared/…        folders that its nodes share
                                   /nodes/<id>/mark.json     the mark of a node
                                              /wanted       running | stopped | deleting
                                              /run.json     its first process
                                              /error.txt    why it could not start
                                              /console.log  what its init and sshd say
                                              /upper …      its files
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from im.errors import InputError
from im.plan.model import Instance, NodeSpec
from im.providers.local.files import write_atomically
from im.providers.local.processes import Process
from im.providers.local.spawn import CONSOLE_FILE, ERROR_FILE, RUN_FILE

Wanted = Literal["running", "stopped", "deleting"]

_ID = re.compile(r"[0-9a-f]{8}")
_NODE_ID = re.compile(r"([0-9a-f]{8})\.[a-z0-9][a-z0-9-]{0,62}\.[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of a node before and after it runs."""

    id: str
    infrastructure: str
    group: str
    index: int
    name: str
    token: str
    cpus: int
    memory: int
    image: str
    address: str
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """The folder of one node."""

    path: Path

    @property
    def mark(self) -> Mark | None:
        """The mark; None when there is no such node (any more)."""
        with suppress(FileNotFoundError, NotADirectoryError):
            values = json.loads((self.path / "mark.json").read_text())
            return Mark(**{**values, "shared": tuple(values["shared"])})
        return None

    def write_mark(self, mark: Mark) -> None:
        """Put the mark on disk: from now on the node exists."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self.path / "mark.json", json.dumps(asdict(mark)))

    @property
    def wanted(self) -> Wanted:
        """What was asked of it last."""
        with suppress(FileNotFoundError):
            text = (self.path / "wanted").read_text()
            return "stopped" if text == "stopped" else "deleting" if text == "deleting" else "running"
        return "running"

    def want(self, wanted: Wanted) -> None:
        """Note what is asked of it now."""
        write_atomically(self.path / "wanted", wanted)

    @property
    def process(self) -> Process | None:
        """The first process it was last given."""
        with suppress(FileNotFoundError):
            return Process(**json.loads((self.path / RUN_FILE).read_text()))
        return None

    @property
    def error(self) -> str:
        """Why it could not start; "" when it could."""
        with suppress(FileNotFoundError):
            return (self.path / ERROR_FILE).read_text()
        return ""

    def forget_run(self) -> None:
        """Forget its last process and error, before it is started again."""
        for name in (RUN_FILE, ERROR_FILE):
            (self.path / name).unlink(missing_ok=True)

    def console(self, size: int = 64 << 10) -> str:
        """Return the end of its console."""
        with suppress(FileNotFoundError), (self.path / CONSOLE_FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - size))
            return file.read().decode(errors="replace")
        return ""


@dataclass(frozen=True, slots=True)
class InfrastructureFolder:
    """The folder of one infrastructure."""

    path: Path

    @property
    def id(self) -> str:
        """The infrastructure's id."""
        return self.path.name

    @property
    def lock(self) -> Path:
        """The lock file: held while nodes or networks are made or removed."""
        return self.path / "lock"

    @property
    def subnet(self) -> IPv4Network | None:
        """The subnet it was given."""
        with suppress(FileNotFoundError):
            return IPv4Network(json.loads((self.path / "network.json").read_text())["subnet"])
        return None

    def write_subnet(self, subnet: IPv4Network) -> None:
        """Keep the subnet: it is the same after a restart of the machine."""
        write_atomically(self.path / "network.json", json.dumps({"subnet": str(subnet)}))

    def shared(self, target: str) -> Path:
        """Return where the shared folder that nodes see as ``target`` lies."""
        return self.path / "shared" / (quote(target.strip("/"), safe="") or "root")

    def node(self, id: str) -> NodeFolder:  # noqa: A002
        """Return the folder of a node, which may not exist."""
        return NodeFolder(self.path / "nodes" / id)

    def nodes(self) -> Iterator[tuple[NodeFolder, Mark]]:
        """Give every node that has a mark, in the order of group and index."""
        found = []
        with suppress(FileNotFoundError):
            for path in (self.path / "nodes").iterdir():
                folder = NodeFolder(path)
                if mark := folder.mark:
                    found.append((folder, mark))
        yield from sorted(found, key=lambda item: (item[1].group, item[1].index, item[1].id))


def infrastructure_folder(home: Path, infrastructure: str) -> InfrastructureFolder:
    """Return the folder of an infrastructure. Raises :class:`im.errors.InputError` for what cannot be an id."""
    if not _ID.fullmatch(infrastructure):
        raise InputError(
            f"{infrastructure!r} cannot be the id of an infrastructure on provider local",
            hint="an id is 8 hexadecimal digits",
        )
    return InfrastructureFolder(home / "local" / infrastructure)


def infrastructure_folders(home: Path) -> tuple[InfrastructureFolder, ...]:
    """Return the folders of all infrastructures that have anything left."""
    try:
        names = sorted(path.name for path in (home / "local").iterdir())
    except FileNotFoundError:
        return ()
    return tuple(infrastructure_folder(home, name) for name in names if _ID.fullmatch(name))


def by_infrastructure(ids: Sequence[str]) -> dict[str, list[str]]:
    """Group node ids by their infrastructure; what cannot be an id of ours is left out."""
    groups: dict[str, list[str]] = {}
    for one in dict.fromkeys(ids):
        if match := _NODE_ID.fullmatch(one):
            groups.setdefault(match[1], []).append(one)
    return groups


def new_mark(spec: NodeSpec, address: str) -> Mark:
    """Return the mark for a spec. Raises :class:`im.errors.InputError` for a name that cannot be a host name."""
    digest = hashlib.sha256(spec.token.encode()).hexdigest()[:8]
    node_id = f"{spec.infrastructure}.{spec.name}.{digest}"
    if not _NODE_ID.fullmatch(node_id):
        raise InputError(f"{spec.name!r} cannot be a host name", hint="use lower-case letters, digits and hyphens")
    return Mark(
        node_id,
        spec.infrastructure,
        spec.group,
        spec.index,
        spec.name,
        spec.token,
        spec.cpus,
        spec.memory,
        spec.image,
        address,
        spec.shared,
    )


def instance(folder: NodeFolder, mark: Mark, *, being_made: bool) -> Instance:
    """Return what the folder of a node says now; ``being_made``: somebody holds the infrastructure's lock."""
    status, message = _status(folder, being_made=being_made)
    return Instance(
        id=mark.id,
        infrastructure=mark.infrastructure,
        group=mark.group,
        index=mark.index,
        name=mark.name,
        token=mark.token,
        status=status,
        private_address=mark.address,
        message=message,
        cpus=mark.cpus,
        memory=mark.memory,
    )


_Status = Literal["building", "active", "stopped", "error", "deleting"]


def _status(folder: NodeFolder, *, being_made: bool) -> tuple[_Status, str]:
    if folder.wanted == "deleting":
        return "deleting", ""
    process = folder.process
    if process and process.alive():
        return "active", ""
    if error := folder.error:
        return "error", error
    if being_made and not process:
        return "building", ""
    return "stopped", _why_stopped(folder, process)


def _why_stopped(folder: NodeFolder, process: Process | None) -> str:
    if folder.wanted == "stopped":
        return "stopped on request"
    return process.epitaph() if process else "its creation was interrupted; start it, or create it again"
