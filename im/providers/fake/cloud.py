"""What the fake cloud is: servers in time, and how it misbehaves."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from im.plan.model import AttachedVolume, Instance, NodeSpec


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong in calls number ``first`` (from 1) to ``first + times - 1`` of one process.

    ``happens``: the call takes effect all the same. ``error`` None: the calling process is killed there and then.
    """

    call: str
    first: int = 1
    times: int = 1
    error: Exception | None = None
    happens: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the cloud behaves; times are seconds.

    ``latency``: of every call. ``build_time``: until a server is active. ``boot_time``: from then on until SSH answers.
    ``delete_time``: how long a server is listed as being deleted. ``attach_time``: from the request until volumes are
    attached. ``capacity``: servers that there is room for.
    ``errors``: how many times a server of that name ends in error. ``mute``: names of servers whose SSH never answers.
    ``staleness``: listings show the cloud as it was so long ago. ``leftovers``: how often ``release`` has more to do.
    """

    latency: float = 0.0
    build_time: float = 0.0
    boot_time: float = 0.0
    delete_time: float = 0.0
    attach_time: float = 0.0
    capacity: int | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    mute: frozenset[str] = frozenset()
    staleness: float = 0.0
    leftovers: int = 0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One server: what was asked for, and when what happened to it (seconds since the epoch; 0: it did not)."""

    id: str
    infrastructure: str
    group: str
    index: int
    name: str
    token: str
    cpus: int
    memory: int
    address: str
    public_address: str = ""
    created: float = 0.0
    active: float = 0.0
    stopped: float = 0.0
    deleted: float = 0.0
    gone: float = 0.0
    broken: bool = False
    volumes: str = ""
    attached: float = 0.0

    @classmethod
    def of(cls, spec: NodeSpec, number: int, created: float, active: float) -> Server:
        """Return a new server for a spec."""
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        public = f"192.0.{number >> 8 & 255}.{number & 255}" if spec.public else ""
        return cls(
            id=f"fake-{number}",
            infrastructure=spec.infrastructure,
            group=spec.group,
            index=spec.index,
            name=spec.name,
            token=spec.token,
            cpus=spec.cpus,
            memory=spec.memory,
            address=address,
            public_address=public,
            created=created,
            active=active,
            volumes=" ".join(volume.name for volume in spec.volumes),
        )

    def exists(self, now: float) -> bool:
        """Tell whether a listing shows it at that time."""
        return self.created <= now and not (self.gone and self.gone <= now)

    def status(self, now: float) -> Literal["building", "active", "stopped", "error", "deleting"]:
        """Return what a listing says about it at that time."""
        if self.deleted and self.deleted <= now:
            return "deleting"
        if self.active > now:
            return "building"
        if self.broken:
            return "error"
        return "stopped" if self.stopped and self.stopped <= now else "active"

    def has_volumes(self, now: float) -> bool:
        """Tell whether all its volumes are attached at that time."""
        return not self.volumes or bool(self.attached and self.attached <= now)

    def shown(self, now: float) -> Instance:
        """Return it as a listing shows it at that time."""
        status = self.status(now)
        there = status not in {"building", "error"}
        return Instance(
            id=self.id,
            infrastructure=self.infrastructure,
            group=self.group,
            index=self.index,
            name=self.name,
            token=self.token,
            status=status,
            private_address=self.address if there else "",
            public_address=self.public_address if there else "",
            message="no valid host was found" if status == "error" else "",
            cpus=self.cpus,
            memory=self.memory,
            volumes=self._volumes() if there and self.has_volumes(now) else (),
        )

    def _volumes(self) -> tuple[AttachedVolume, ...]:
        names = self.volumes.split()
        return tuple(AttachedVolume(name, f"{self.id}-{name}", f"/dev/disk/by-id/fake-{name}") for name in names)


FIELDS = tuple(item.name for item in fields(Server))


@dataclass
class State:
    """Everything that the cloud remembers."""

    number: int = 0
    servers: dict[str, Server] = field(default_factory=dict)
    environments: dict[str, int] = field(default_factory=dict)
    lifetimes: dict[str, float] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)

    def end_of(self, infrastructure: str) -> datetime | None:
        """Return when the lifetime of an infrastructure ends."""
        end = self.lifetimes.get(infrastructure)
        return None if end is None else datetime.fromtimestamp(end, UTC)

    def living(self, now: float, infrastructure: str | None = None) -> list[Server]:
        """Return the servers that exist at that time, of one infrastructure or of all."""
        return [
            server
            for server in self.servers.values()
            if server.exists(now) and infrastructure in {None, server.infrastructure}
        ]

    def change(self, server: Server, **changes: float | bool | str) -> None:
        """Replace fields of a server."""
        self.servers[server.id] = replace(server, **changes)  # type: ignore[arg-type]

    def dump(self) -> str:
        """Return the state as JSON."""
        servers = {key: [getattr(server, name) for name in FIELDS] for key, server in self.servers.items()}
        return json.dumps({**vars(self), "servers": servers})

    @classmethod
    def load(cls, text: str) -> State:
        """Return the state that :meth:`dump` gave."""
        if not text:
            return cls()
        read = json.loads(text)
        read["servers"] = {key: Server(*server) for key, server in read["servers"].items()}
        return cls(**read)


class Memory:
    """Keeps the state in this process."""

    def __init__(self) -> None:
        self._state = State()
        self._lock = threading.RLock()

    @contextmanager
    def open(self) -> Iterator[State]:
        """Give the state to look at and to change."""
        with self._lock:
            yield self._state


class File:
    """Keeps the state in a file, so that it outlives the process and several can use it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def open(self) -> Iterator[State]:
        """Give the state to look at and to change; what was changed is written at the end."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
            state = State.load(before)
            yield state
            if (after := state.dump()) != before:
                draft = self._path.with_suffix(".new")
                draft.write_text(after, encoding="utf-8")
                draft.replace(self._path)
