"""What a template says, as values. Sizes are bytes, counts are plain integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

MANY: Final = 1_000_000
"""More machines than there will be: what a group may have without limits of its own."""
Placement = Literal["", "affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a template: file as the user named it, line and column from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with, or doubtful in, a template; ``str()`` is the line that the user sees."""

    mark: Mark
    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.mark}: {self.severity} {self.code}: {self.message}{hint}"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What one node needs at least. 0 means: whatever the cloud gives."""

    cpus: int = 1
    memory: int = 0
    disk: int = 0
    gpus: int = 0
    flavor: str = ""


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """An image by id or name, or the properties that an image must have ("" = any)."""

    image: str = ""
    architecture: str = ""
    type: str = ""
    distribution: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A port range open from outside, both ends included."""

    first: int
    last: int
    protocol: str = "tcp"
    remote_cidr: str = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the template. ``existing`` names one of the cloud's to use; else a private one is made."""

    name: str
    public: bool = False
    cidr: str = ""
    existing: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk of its own for every node of a group, ``size`` bytes, formatted and mounted where ``mount`` says.

    ``existing`` names a volume of the cloud by id or name instead: it is attached, and never formatted, marked or
    deleted. Such a group has one node.
    """

    name: str
    size: int = 0
    mount: str = ""
    file_system: str = "ext4"
    existing: str = ""


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """One compute node template: ``count`` equal nodes.

    ``host_name``: what the nodes are called (with their number) where the template wants another name than the group's.
    ``front_end``: exactly one group has it; its first node is where Ansible and logins happen. ``works``: MPI ranks
    may run here.
    ``shared``: folders that this group sees as one with all other groups that list them, e.g. ``/home``.
    ``placement``: whether the cloud keeps the group's nodes on one host, or on different ones, as far as it can
    (``soft``) or without exception. ``boot_volume``: bytes of a volume that the nodes boot from; 0 = the flavor's disk.
    ``user_data``: a script or cloud-config that runs at first boot, beside ours. ``key_pair``: one that the cloud has
    already, whose owner may log in too.
    """

    name: str
    type: str = "tosca.nodes.Compute"
    count: int = 1
    min_count: int = 0
    max_count: int = MANY
    hardware: Hardware = Hardware()
    os: OperatingSystem = OperatingSystem()
    networks: tuple[str, ...] = ()
    public: bool = False
    ports: tuple[Port, ...] = ()
    front_end: bool = False
    works: bool = True
    shared: tuple[str, ...] = ()
    on_failure: Literal["keep", "replace", "abort"] = "keep"
    removal_list: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    availability_zone: str = ""
    placement: Placement = ""
    boot_volume: int = 0
    user_data: str = ""
    key_pair: str = ""
    host_name: str = ""
    mark: Mark = Mark("")


@dataclass(frozen=True, slots=True)
class Operation:
    """One lifecycle operation that runs on every node of its software's group.

    ``kind`` ``role``: ``implementation`` is a role's name under ``recipes/``; ``playbook`` and ``script``: an
    absolute path.
    ``inputs`` may hold unevaluated functions (``{"get_attribute": [...]}``); :func:`im.topology.functions.evaluate`
    resolves
    them when the nodes are known.
    """

    software: str
    name: str
    kind: Literal["role", "playbook", "script"]
    implementation: str
    inputs: Mapping[str, object] = field(default_factory=dict)
    mark: Mark = Mark("")


@dataclass(frozen=True, slots=True)
class Software:
    """A software component hosted on one group. ``level``: all software of lower levels is done before it starts.

    ``provides`` maps capability names to their properties, e.g. ``{"container_engine": {"engine": "udocker"}}`` or
    ``{"mpi": {"family": "openmpi"}}``.
    """

    name: str
    type: str
    host: str
    level: int = 0
    operations: tuple[Operation, ...] = ()
    provides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    mark: Mark = Mark("")


@dataclass(frozen=True, slots=True)
class Output:
    """A named value of the template; ``value`` may hold unevaluated functions."""

    name: str
    value: object
    description: str = ""


@dataclass(frozen=True, slots=True)
class InputDefinition:
    """An input that the template asks for; ``required`` means that there is no default."""

    name: str
    type: str = "string"
    description: str = ""
    default: object = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole template with its inputs filled in: the desired state of one infrastructure.

    ``software`` is ordered: by level, then by name. ``user`` is the account that owns the users' jobs on the nodes.
    ``roles``: the folders of the roles of Ansible Galaxy that the template's playbooks use, by name; "" where a role
    could not be had.
    """

    description: str = ""
    user: str = "hpc"
    groups: tuple[NodeGroup, ...] = ()
    networks: tuple[Network, ...] = ()
    software: tuple[Software, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    inputs: Mapping[str, object] = field(default_factory=dict)
    input_definitions: tuple[InputDefinition, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def group(self, name: str) -> NodeGroup:
        """Return the group of that name. Raises ``KeyError``."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)

    @property
    def missing_roles(self) -> tuple[str, ...]:
        """The roles of Ansible Galaxy that playbooks use and that could not be had."""
        return tuple(name for name, folder in self.roles.items() if not folder)

    @property
    def front_end(self) -> NodeGroup:
        """The group whose first node is the control node."""
        return next(group for group in self.groups if group.front_end)
