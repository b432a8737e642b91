"""The fake cloud behind the interface of a provider."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from im.clock import Clock, SystemClock
from im.config import Settings
from im.errors import NoCapacity
from im.events import Emit, Event
from im.plan.model import Catalog, Flavor, Image, Instance, NodeSpec
from im.providers.base import Capability, Check, Environment
from im.providers.fake.cloud import Behaviour, Fault, File, Memory, Server, State

GIB = 1 << 30

CATALOG = Catalog(
    images=(
        Image("image-debian-12", "Debian 12", "debian", "12", "x86_64"),
        Image("image-ubuntu-24", "Ubuntu 24.04", "ubuntu", "24.04", "x86_64"),
    ),
    flavors=tuple(Flavor(f"flavor-{n}", f"c{n}", n, 2 * n * GIB, disk=20 * GIB) for n in (1, 2, 4, 8, 16)),
)


class FakeProvider:
    """A cloud for tests. ``fake`` lives in this process; ``fake:NAME`` lives in a file of the settings' home.

    ``file`` puts it into another file. ``calls`` counts what was asked, by the name of the call.
    """

    def __init__(
        self,
        settings: Settings,
        cloud: str = "fake",
        *,
        behaviour: Behaviour | None = None,
        clock: Clock | None = None,
        file: Path | None = None,
        catalog: Catalog = CATALOG,
        capabilities: frozenset[Capability] = frozenset(Capability),
    ) -> None:
        account = cloud.partition(":")[2]
        if file is None and account:
            file = settings.home / f"fake-{account}.json"
        self.name = cloud
        self.capabilities = capabilities
        self.behaviour = behaviour or Behaviour()
        self.calls: Counter[str] = Counter()
        self._clock = clock or SystemClock()
        self._cloud = File(file) if file else Memory()
        self._catalog = catalog

    # the interface

    def check(self) -> tuple[Check, ...]:
        """Say that all is well; it always is."""
        return (Check("fake", "ok", "a cloud for tests"),)

    def catalog(self) -> Catalog:
        """Return images, flavors and limits."""
        with self._call("catalog"):
            return self._catalog

    def prepare(self, environment: Environment, emit: Emit) -> None:
        """Remember that the infrastructure has something here."""
        with self._call("prepare") as state:
            fresh = environment.infrastructure not in state.environments
            state.environments.setdefault(environment.infrastructure, self.behaviour.leftovers)
            if environment.expires:
                state.lifetimes[environment.infrastructure] = environment.expires.timestamp()
        if fresh:
            emit(Event(environment.infrastructure, "infrastructure", environment.name, "image", "finished"))

    def create(self, specs: Sequence[NodeSpec]) -> tuple[Instance, ...]:
        """Request these servers; those whose token exists are returned as they are."""
        with self._call("create") as state:
            now = self._now()
            living = {server.token: server for server in state.living(now)}
            new = [spec for spec in specs if spec.token not in living]
            if self.behaviour.capacity is not None and len(living) + len(new) > self.behaviour.capacity:
                room = self.behaviour.capacity - len(living)
                raise NoCapacity(f"{len(new)} servers do not fit, there is room for {room}", where=f"cloud {self.name}")
            made = {spec.token: self._made(state, spec, now) for spec in new}
            return tuple((living | made)[spec.token].shown(now) for spec in specs)

    def list(self, infrastructure: str | None = None) -> tuple[Instance, ...]:
        """Return the servers that carry our mark, as they were ``staleness`` seconds ago."""
        with self._call("list") as state:
            then = self._now() - self.behaviour.staleness
            return tuple(server.shown(then) for server in state.living(then, infrastructure))

    def delete(self, ids: Sequence[str]) -> None:
        """Request the end of these servers."""
        with self._call("delete") as state:
            now = self._now()
            for server in self._of(state, ids):
                if not server.deleted:
                    state.change(server, deleted=now, gone=now + self.behaviour.delete_time)

    def stop(self, ids: Sequence[str]) -> None:
        """Stop these servers."""
        with self._call("stop") as state:
            for server in self._of(state, ids):
                state.change(server, stopped=server.stopped or self._now())

    def start(self, ids: Sequence[str]) -> None:
        """Start these servers."""
        with self._call("start") as state:
            for server in self._of(state, ids):
                if server.stopped:
                    state.change(server, stopped=0.0, active=self._now())

    def attach(self, specs: Sequence[NodeSpec]) -> bool:
        """Request the volumes of servers that are active; true when all are attached."""
        with self._call("attach") as state:
            now = self._now()
            living = {server.token: server for server in state.living(now)}
            for spec in specs:
                server = living.get(spec.token)
                if server and server.volumes and not server.attached and server.status(now) == "active":
                    state.change(server, attached=now + self.behaviour.attach_time)
            living = {server.token: server for server in state.living(now)}
            return all(spec.token in living and living[spec.token].has_volumes(now) for spec in specs)

    def publish(self, id: str) -> str:  # noqa: A002
        """Give this server a public address."""
        with self._call("publish") as state:
            for server in self._of(state, [id]):
                public = server.public_address or server.address.replace("10.", "192.", 1)
                state.change(server, public_address=public)
                return public
            return ""

    def console(self, id: str) -> str:  # noqa: A002
        """Return a boot log."""
        with self._call("console") as state:
            return "".join(
                f"{server.name}: the kernel of {server.name} has booted\n" for server in self._of(state, [id])
            )

    def infrastructures(self) -> Mapping[str, datetime | None]:
        """Return the infrastructures that have servers or anything else here, and when their lifetimes end."""
        with self._call("infrastructures") as state:
            servers = {server.infrastructure for server in state.living(self._now())}
            return {id_: state.end_of(id_) for id_ in servers | state.environments.keys()}

    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Forget the infrastructure, unless it has servers or ``leftovers``."""
        with self._call("release") as state:
            if servers := state.living(self._now(), infrastructure):
                return tuple(f"network: in use by server {server.name}" for server in servers)
            left = state.environments.get(infrastructure, 0)
            if left > 0:
                state.environments[infrastructure] = left - 1
                return (f"network: {left} ports are still in use",)
            state.environments.pop(infrastructure, None)
            state.lifetimes.pop(infrastructure, None)
            return ()

    # for tests

    def servers(self) -> tuple[Instance, ...]:
        """Return all servers that exist, without latency, staleness or faults."""
        now = self._now()
        with self._cloud.open() as state:
            return tuple(server.shown(now) for server in state.living(now) if server.status(now) != "deleting")

    def answers(self, id: str) -> bool:  # noqa: A002
        """Tell whether SSH of a server answers."""
        now = self._now()
        with self._cloud.open() as state:
            server = state.servers.get(id)
            return (
                server is not None
                and server.exists(now)
                and server.name not in self.behaviour.mute
                and server.status(now) == "active"
                and server.active + self.behaviour.boot_time <= now
            )

    def forget(self, name: str) -> None:
        """Let a server vanish, as if somebody had deleted it behind our back."""
        with self._cloud.open() as state:
            for server in state.living(self._now()):
                if server.name == name:
                    state.change(server, gone=self._now())

    # inside

    def _now(self) -> float:
        return self._clock.now().timestamp()

    @contextmanager
    def _call(self, name: str) -> Iterator[State]:
        """One call: it takes its time, and fails as the script says."""
        self._clock.sleep(self.behaviour.latency)
        self.calls[name] += 1
        fault = self._fault(name)
        if fault and not fault.happens:
            _strike(fault)
        with self._cloud.open() as state:
            yield state
        if fault:
            _strike(fault)

    def _fault(self, call: str) -> Fault | None:
        number = self.calls[call]
        return next((f for f in self.behaviour.faults if f.call == call and 0 <= number - f.first < f.times), None)

    def _made(self, state: State, spec: NodeSpec, now: float) -> Server:
        state.number += 1
        server = Server.of(spec, state.number, now, now + self.behaviour.build_time)
        state.servers[server.id] = server
        if state.broken.get(spec.name, 0) < self.behaviour.errors.get(spec.name, 0):
            state.broken[spec.name] = state.broken.get(spec.name, 0) + 1
            state.change(server, broken=True)
        return state.servers[server.id]

    def _of(self, state: State, ids: Sequence[str]) -> Sequence[Server]:
        now = self._now()
        return [state.servers[id_] for id_ in ids if id_ in state.servers and state.servers[id_].exists(now)]


def _strike(fault: Fault) -> None:
    if fault.error is None:
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        raise fault.error
