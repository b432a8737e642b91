"""The interface of a cloud, and the contract that every provider keeps.

The contract, in general: **every call may be repeated** (if it is done already, return quietly; if something does not
exist, deleting it is
done); **calls do not wait** for the cloud to finish (the engine polls ``list``); every object carries the
infrastructure's id, the group, the node's
name and token **from the call that creates it**; what existed before is never marked and never deleted. Errors are
:class:`im.errors.ProviderError` and its children. ``im.providers.contract`` is the test suite that proves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from im.config import Settings
from im.events import Emit
from im.plan.model import Catalog, Instance, NodeSpec
from im.topology.model import Network, NodeGroup


class Capability(StrEnum):
    """What a cloud can do beyond creating, listing and deleting servers."""

    PUBLIC_ADDRESS = "public-address"
    PRIVATE_NETWORK = "private-network"
    SHARED_DIRECTORY = "shared-directory"
    MULTI_CREATE = "multi-create"
    """All servers of one create call start with one identity, that of the first spec; each gets its own host key over
    the first verified connection."""
    VOLUMES = "volumes"
    STOP_START = "stop-start"
    CONSOLE = "console"
    DIRECT = "direct"
    """Every node's private address is reachable from the client."""
    LIFETIMES = "lifetimes"
    """The cloud itself carries how long an infrastructure may live: ``gc`` of any client sees it."""
    SHARED_CORES = "shared-cores"
    """Nodes run on the same cores, whatever their size: no process may be bound to a core."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of ``im_client providers check``; ``hint`` says what to ask for or install where it failed."""

    name: str
    status: Literal["ok", "warning", "failed"]
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """What an infrastructure needs before its first server: networks, images, shared folders.

    ``groups`` tell what each group's servers need around them: open ports, placement, a way out. ``expires``: when its
    lifetime ends; None: never.
    """

    infrastructure: str
    name: str
    networks: tuple[Network, ...] = ()
    images: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    groups: tuple[NodeGroup, ...] = ()
    expires: datetime | None = None


class Provider(Protocol):
    """A cloud. Made by ``factory(settings, cloud)``; holds no state that a new process could not find again."""

    name: str
    capabilities: frozenset[Capability]

    def check(self) -> tuple[Check, ...]:
        """Look, without changing anything, whether this cloud can be used; never raises for what it finds."""

    def catalog(self) -> Catalog:
        """Return images, flavors and limits, in as few calls as the API allows."""

    def prepare(self, environment: Environment, emit: Emit) -> None:
        """Make what the servers need. Long work (a base image) reports progress events with phase ``image``."""

    def create(self, specs: Sequence[NodeSpec]) -> tuple[Instance, ...]:
        """Request these servers. A spec whose token exists already yields the existing server.

        Raises :class:`im.errors.NoCapacity` and friends only if nothing could be requested; a server that fails alone
        is returned
        with status ``error`` and its message.
        """

    def list(self, infrastructure: str | None = None) -> tuple[Instance, ...]:
        """Return the servers that carry our mark, of one infrastructure or of all, in one cheap call."""

    def delete(self, ids: Sequence[str]) -> None:
        """Request the end of these servers."""

    def stop(self, ids: Sequence[str]) -> None:
        """Request that these servers stop and keep their disks."""

    def start(self, ids: Sequence[str]) -> None:
        """Request that these stopped servers run again, with addresses and disks as they were."""

    def publish(self, id: str) -> str:  # noqa: A002
        """Give this server a public address and return it ("" where the cloud needs none)."""

    def attach(self, specs: Sequence[NodeSpec]) -> bool:
        """Make and attach the volumes of these servers, which are active. True when all are attached.

        Called again until it is true; only where the provider has :attr:`Capability.VOLUMES`. ``list`` then shows
        them in :attr:`im.plan.model.Instance.volumes`.
        """

    def console(self, id: str) -> str:  # noqa: A002
        """Return the last part of the server's console or boot log, for people."""

    def infrastructures(self) -> Mapping[str, datetime | None]:
        """Return the ids of all infrastructures that have anything left on this cloud, and when their lifetimes end.

        None: never, or the cloud does not carry it (:attr:`Capability.LIFETIMES`).
        """

    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Remove everything else that carries this infrastructure's mark.

        Called first while the end of its servers is asked for: what needs no waiting for them can go meanwhile.
        Returns a line for each thing that is still there and why, servers too; empty when nothing is left. May be
        called until it is empty.
        """


class ProviderFactory(Protocol):
    """How the registry makes a provider: settings, and the name of the cloud as the user gave it."""

    def __call__(self, settings: Settings, cloud: str) -> Provider:
        """Return the provider; must not touch the network."""
