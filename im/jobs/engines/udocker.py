"""udocker: no daemon and no privileges; containers are folders in the shared home."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from im.jobs.engines.base import LOADED, Inside, Steps, demand

if TYPE_CHECKING:
    from im.jobs.images import Image

_FIRST_MODE = "P1"
"""The mode that every container begins with."""
_REMOVE = '[ ! -L "${UDOCKER_DIR:-$HOME/.udocker}/containers/$1" ] || exec udocker rm -f "$1"'
_SHARED = ("/tmp", "/dev/shm", "/etc/hosts")  # noqa: S108


class Udocker:
    """Runs containers by what the kernel lets every user do."""

    name = "udocker"
    per_node = False
    read_only_mounts = False

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:
        """Import a tree straight into a container; images go through udocker's layers, which do not stay."""
        name = f"--name={image.container}"
        setup = () if mode in {"", _FIRST_MODE} else (("udocker", "setup", f"--execmode={mode}", image.container),)
        if image.kind == "rootfs":
            return ("udocker", "import", "--tocontainer", name, archive), *setup
        if image.kind == "registry":
            options, repository = udocker_reference(image.reference)
            first, given = ("udocker", "pull", *options, repository), repository
        else:
            first, given = ("udocker", "load", "-i", archive, f"im/{image.container}"), LOADED
        return first, ("udocker", "create", name, given), ("udocker", "rmi", given), *setup

    def discard(self, image: Image) -> Steps:
        """Remove the container; that there is none, the shell finds out sooner than udocker starts."""
        return (("sh", "-c", _REMOVE, "discard", image.container),)

    def present(self, container: str) -> tuple[str, ...]:
        """Look for its tree."""
        return "sh", "-c", 'test -d "${UDOCKER_DIR:-$HOME/.udocker}/containers/$1/ROOT"', "present", container

    def run(self, inside: Inside) -> tuple[str, ...]:
        """Pass on the user, MPI's environment and the folders that ranks of a node share.

        The node's shell fills in the user's name, which the environment of a rank may lack. Folders to mount at are
        made here where the image has none: udocker gives up if another rank makes them at the same moment. A shell of
        the image, if it has one, waits for the program: proot would turn every signal that ends one into exit code 255.
        """
        pairs = [(at, at) for at in (inside.home, *_SHARED)] + [(m.source, m.target) for m in inside.mounts]
        volumes = shlex.join(f"--volume={source}:{target}" for source, target in pairs)
        places = "\n".join(
            f"[ ! -d {shlex.quote(source)} ] || place /ROOT{shlex.quote(target)}" for source, target in pairs
        )
        user = shlex.quote(inside.user) if inside.user else '"$(id -un)"'
        line = (
            f"{demand(inside.mounts)}"
            "folder=--workdir=$2 container=$1 tree=${UDOCKER_DIR:-$HOME/.udocker}/containers/$1; shift 2\n"
            f'place() {{ [ -e "$tree$1" ] || mkdir -p "$tree$1"; }}\nplace /.mountpoints\n{places}\n'
            '[ ! -e "$tree/ROOT/bin/sh" ] && [ ! -L "$tree/ROOT/bin/sh" ] ||'
            """ set -- /bin/sh -c '"$@"; exit $?' sh "$@"\n"""
            f"exec udocker -q run --pull=never --nobanner --entrypoint= --hostenv --hostauth --user={user} {volumes}"
            ' "$folder" "$container" "$@"'
        )
        return "sh", "-c", line, "rank", inside.container, inside.folder

    def clean(self, job: str) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing outlives the processes."""
        return ()


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
