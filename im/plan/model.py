"""Values that travel between planner, engine, providers, contextualization and jobs. Sizes are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from im.errors import InputError
from im.topology.model import Port, Volume


class NodeState(StrEnum):
    """Where one node is in its life (transition table: :mod:`im.engine.states`)."""

    REQUESTED = "requested"
    BUILDING = "building"
    BOOTING = "booting"
    REACHABLE = "reachable"
    CONFIGURING = "configuring"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"
    DELETING = "deleting"
    GONE = "gone"


class InfrastructureState(StrEnum):
    """Where an infrastructure is in its life."""

    PLANNED = "planned"
    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    CONFIGURING = "configuring"
    READY = "ready"
    DEGRADED = "degraded"
    RESIZING = "resizing"
    STOPPED = "stopped"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a cloud. ``present`` is False where it has to be made or fetched by ``prepare``."""

    id: str
    name: str
    distribution: str = ""
    version: str = ""
    architecture: str = ""
    min_disk: int = 0
    min_memory: int = 0
    user: str = "root"
    present: bool = True


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size of server that a cloud sells."""

    id: str
    name: str
    cpus: int
    memory: int
    disk: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """One quota of the account: ``limit`` and ``used``, in the unit of its name (``memory`` and disks are bytes)."""

    limit: int
    used: int = 0

    @property
    def free(self) -> int:
        """What is left."""
        return max(self.limit - self.used, 0)


@dataclass(frozen=True, slots=True)
class CloudNetwork:
    """A network that exists on the cloud. ``external``: public addresses come from it, or it is public itself."""

    id: str
    name: str
    external: bool = False
    cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a cloud offers now. A cloud with ``any_size`` takes cpus and memory as they are, up to ``largest``.

    ``quota``: what the account may still have, by name: ``servers``, ``cpus``, ``memory``, ``networks``,
    ``security-groups``, ``public-addresses``, ``volumes``, ``volume-bytes``, ``ports``, ``routers``,
    ``server-groups``; what is missing has no limit. ``free_addresses`` counts public addresses of the account that
    nobody uses. ``zones`` and ``networks`` are empty where the cloud has no such thing to choose.
    """

    images: tuple[Image, ...] = ()
    flavors: tuple[Flavor, ...] = ()
    any_size: bool = False
    largest: Flavor | None = None
    quota: Mapping[str, Room] = field(default_factory=dict)
    free_addresses: int = 0
    zones: tuple[str, ...] = ()
    networks: tuple[CloudNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node must know from its first byte: who may log in, and which SSH host key is its own.

    ``authorized_keys`` are OpenSSH public key lines for ``user``. ``host_key`` is an OpenSSH private key (PEM text)
    and never
    shown, logged or stored in events; ``host_public_key`` is its ``ssh-ed25519 AAAA…`` line.
    """

    user: str
    authorized_keys: tuple[str, ...]
    host_key: str = field(repr=False)
    host_public_key: str = ""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node to be created.

    ``infrastructure``, ``group``, ``name`` and ``token`` are the mark that the cloud object must carry. ``name`` is the
    host name; ``token`` is unique to one intent to create this node, so that a repeated call can be recognised.
    """

    infrastructure: str
    group: str
    index: int
    name: str
    token: str
    cpus: int
    memory: int
    image: str
    flavor: str = ""
    disk: int = 0
    public: bool = False
    networks: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    shared: tuple[str, ...] = ()
    identity: Identity | None = None
    volumes: tuple[Volume, ...] = ()
    availability_zone: str = ""
    placement: str = ""
    boot_volume: int = 0
    user_data: str = ""
    key_pair: str = ""


@dataclass(frozen=True, slots=True)
class AttachedVolume:
    """A volume at its server: the template's name for it, the cloud's id, and what the node's kernel calls it.

    ``device`` is a path below ``/dev`` that stays the same over reboots, such as ``/dev/disk/by-id/virtio-…``.
    """

    name: str
    id: str
    device: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A server as the cloud shows it, found by its mark.

    ``status``: ``building`` (not there yet), ``active`` (runs; SSH may not answer yet), ``stopped``, ``error``,
    ``deleting``.
    """

    id: str
    infrastructure: str
    group: str
    index: int
    name: str
    token: str
    status: Literal["building", "active", "stopped", "error", "deleting"]
    private_address: str = ""
    public_address: str = ""
    message: str = ""
    cpus: int = 0
    memory: int = 0
    volumes: tuple[AttachedVolume, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the client knows it: its row in the store, and what SSH, Ansible and jobs need.

    ``slots``: MPI ranks it takes (0 = none). ``host_public_key``: ``ssh-ed25519 AAAA…``, verified at every connection.
    ``user`` is the account that ``im`` itself logs in with (root, or one with sudo).
    """

    infrastructure: str
    name: str
    group: str
    index: int
    token: str
    state: NodeState = NodeState.REQUESTED
    id: str = ""
    private_address: str = ""
    public_address: str = ""
    user: str = "root"
    host_public_key: str = ""
    cpus: int = 1
    memory: int = 0
    slots: int = 0
    front_end: bool = False
    reason: str = ""
    message: str = ""
    configured: str = ""
    """Digest of the contextualization that this node last completed; "" = none."""
    image: str = ""
    flavor: str = ""
    request: str = ""
    """Fingerprint of what the template asked for when the node was created (:func:`im.plan.desired.request_of`)."""
    requested: datetime | None = None
    """When the cloud was last asked for something about this node."""
    volumes: tuple[AttachedVolume, ...] = ()

    @property
    def address(self) -> str:
        """Where a client outside the sub-cluster reaches it: the public address, else the private one."""
        return self.public_address or self.private_address


@dataclass(frozen=True, slots=True)
class Cluster:
    """The live nodes of one infrastructure, with what is needed to talk to them and to contextualize them.

    ``keys`` is the folder with the infrastructure's SSH material (:mod:`im.ssh.keys`). ``via_front_end``: only the
    front-end is
    reachable from here; everything else goes through it. ``jump_host``: ``user@host[:port]`` of the user's own, through
    which even that one is reached.
    """

    infrastructure: str
    name: str
    user: str
    keys: str
    nodes: tuple[Node, ...]
    shared: tuple[str, ...] = ()
    via_front_end: bool = True
    engines: tuple[str, ...] = ()
    variables: Mapping[str, object] = field(default_factory=dict)
    jump_host: str = ""

    @property
    def front_end(self) -> Node:
        """The control node. Raises :class:`im.errors.InputError` while it does not run."""
        for node in self.nodes:
            if node.front_end:
                return node
        raise InputError("the front-end is not running", where=self.name, hint=f"im_client start {self.name}")

    def node(self, name: str) -> Node:
        """Return the node of that name. Raises ``KeyError``."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)


ActionKind = Literal["create", "delete", "start", "replace", "configure", "keep"]


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan: what happens to which node, and why, in words."""

    kind: ActionKind
    node: str
    group: str
    reason: str = ""
    image: str = ""
    flavor: str = ""
    cpus: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deploy would do now. ``changes`` leaves out what is kept."""

    infrastructure: str
    actions: tuple[Action, ...] = ()

    @property
    def changes(self) -> tuple[Action, ...]:
        """The actions that do something."""
        return tuple(action for action in self.actions if action.kind != "keep")
