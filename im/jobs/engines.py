"""Container engines. Each says, as command lines, how to make an image ready on a node and how to start one rank in it.

To add one: a class with the methods of :class:`ContainerEngine`, and a line in :data:`ENGINES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from im.errors import InputError
from im.jobs.images import Image

Steps = tuple[tuple[str, ...], ...]

LOADED = "{loaded}"
"""In a step: what the first step, a ``load``, called the image."""


@dataclass(frozen=True, slots=True)
class Rank:
    """What a rank's container must have: the user's ``home`` and working ``folder``, and more folders of the node."""

    container: str
    home: str
    folder: str
    binds: tuple[str, ...] = ()


class ContainerEngine(Protocol):
    """A way to run processes of an MPI job in containers."""

    name: str
    per_node: bool
    """Whether each node keeps its own images; else one preparation in the shared home serves all."""

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:
        """Return what makes ``image`` a container that ranks can run; ``archive`` is its file on the node."""

    def discard(self, image: Image) -> Steps:
        """Return what removes whatever an earlier, broken preparation left; each may fail."""

    def rank(self, rank: Rank) -> tuple[str, ...]:
        """Return what stands before the program on the command line of one rank."""


class Udocker:
    """udocker: no daemon and no privileges; containers are folders in the shared home."""

    name = "udocker"
    per_node = False

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:
        """Import a tree straight into a container; images go through udocker's layers."""
        name = f"--name={image.container}"
        setup = (("udocker", "setup", f"--execmode={mode}", image.container),) if mode else ()
        if image.kind == "rootfs":
            return ("udocker", "import", "--tocontainer", name, archive), *setup
        if image.kind == "registry":
            options, repository = udocker_reference(image.reference)
            pull = ("udocker", "pull", *options, repository)
            return pull, ("udocker", "create", name, repository), *setup
        load = ("udocker", "load", "-i", archive, f"im/{image.container}")
        return load, ("udocker", "create", name, LOADED), ("udocker", "rmi", LOADED), *setup

    def discard(self, image: Image) -> Steps:
        """Remove the container."""
        return (("udocker", "rm", "-f", image.container),)

    def rank(self, rank: Rank) -> tuple[str, ...]:
        """Pass on the user, MPI's environment and the folders that ranks of a node share.

        The node's shell fills in the user's name, which the environment of a rank may lack. A shell of the image, if it
        has one, waits for the program: proot would turn every signal that ends a program into exit code 255.
        """
        binds = (rank.home, "/tmp", "/dev/shm", "/etc/hosts", *rank.binds)  # noqa: S108
        volumes = " ".join(f"--volume={place}:{place}" for place in binds)
        shell = '"${UDOCKER_DIR:-$HOME/.udocker}/containers/$1/ROOT/bin/sh"'
        line = (
            f"folder=--workdir=$2 container=$1; [ ! -e {shell} ] && [ ! -L {shell} ]; shell=$?; shift 2\n"
            """[ $shell = 0 ] || set -- /bin/sh -c '"$@"; exit $?' sh "$@"\n"""
            f'exec udocker -q run --nobanner --entrypoint= --hostenv --hostauth --user="$(id -un)" {volumes}'
            ' "$folder" "$container" "$@"'
        )
        return "sh", "-c", line, "rank", rank.container, rank.folder


def udocker_reference(reference: str) -> tuple[tuple[str, ...], str]:
    """Split off a registry that udocker would not find in a name: one with a port or a scheme.

    >>> udocker_reference("http://10.0.0.1:5000/lab/mpi:bookworm")
    (('--registry=http://10.0.0.1:5000',), 'lab/mpi:bookworm')
    """
    scheme, separator, rest = reference.rpartition("://")
    host, slash, repository = rest.partition("/")
    if slash and (separator or ":" in host or host == "localhost"):
        return (f"--registry={scheme or 'https'}://{host}",), repository
    return (), reference


class Docker:
    """Docker: a daemon of root on every node; ranks run as the user, in the node's own namespaces."""

    name = "docker"
    per_node = True
    passed = "OMPI_|PMIX_|ORTE_|OPAL_|PRTE_|IM_"

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:  # noqa: ARG002
        """Load, import or pull, and give the image our name."""
        docker = ("sudo", "docker")
        name = f"{image.container}:latest"
        if image.kind == "rootfs":
            return ((*docker, "import", archive, name),)
        if image.kind == "registry":
            reference = image.reference.rpartition("://")[2]
            return (*docker, "pull", reference), (*docker, "tag", reference, name)
        return (*docker, "load", "--quiet", "-i", archive), (*docker, "tag", LOADED, name)

    def discard(self, image: Image) -> Steps:
        """Remove the image."""
        return (("sudo", "docker", "rmi", "--force", f"{image.container}:latest"),)

    def rank(self, rank: Rank) -> tuple[str, ...]:
        """Share the node's namespaces: MPI's ranks find each other by address, process id and shared memory."""
        binds = (rank.home, "/tmp", "/dev/shm", *rank.binds)  # noqa: S108
        read_only = ("/etc/passwd", "/etc/group", "/etc/hosts")
        volumes = " ".join((*(f"-v {at}:{at}" for at in binds), *(f"-v {at}:{at}:ro" for at in read_only)))
        names = f"$(env | sed -nE 's/^(({self.passed})[A-Za-z0-9_]*|HOME|USER)=.*/-e \\1/p') $IM_JOB_ENV"
        spaces = (
            "--network=host --ipc=host --pid=host --uts=host --cap-add SYS_PTRACE --security-opt seccomp=unconfined"
        )
        options = f'--rm --entrypoint= --user="$(id -u):$(id -g)" {spaces} {volumes} {names}'
        line = f'exec sudo -E docker run {options} "$@"'
        return "sh", "-c", line, "rank", f"--workdir={rank.folder}", f"{rank.container}:latest"


ENGINES: Mapping[str, ContainerEngine] = {engine.name: engine for engine in (Udocker(), Docker())}


def choose(wanted: str, available: Sequence[str]) -> ContainerEngine:
    """Return the engine that the user wants, or the cluster's first. Raises :class:`im.errors.InputError`."""
    usable = [name for name in available if name in ENGINES]
    name = wanted or (usable[0] if usable else "")
    if name not in usable:
        missing = (
            f"the sub-cluster has no container engine {name!r}" if name else "the sub-cluster has no container engine"
        )
        raise InputError(
            missing,
            where="--engine",
            hint=f"it has: {', '.join(usable)}" if usable else "add one to the template and deploy it again",
        )
    return ENGINES[name]
