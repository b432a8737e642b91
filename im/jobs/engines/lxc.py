"""LXC, the classic Linux container: an image is a root file system that the kernel's own tools enter."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from im.jobs.engines.base import PASSED, Inside, Steps, demand
from im.jobs.remote import source

if TYPE_CHECKING:
    from im.jobs.images import Image

STORE = "/home/.im/lxc"
"""Root's, in the folder that all nodes share: a tree is unpacked once."""
_RUN = "/var/lib/im/lxc/run"
_SHARED = ("/tmp", "/dev/shm")  # noqa: S108
_FILES = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf")
_PULL = """\
archive=$(mktemp -d)/image.tar
skopeo copy --quiet $3 "docker://$2" "docker-archive:$archive" && sudo python3 -c "$1" "$archive" "$4"
"""


class Lxc:
    """Runs each process in a container of its own that shares addresses, process ids and memory with its node."""

    name = "lxc"
    per_node = False
    read_only_mounts = True

    def prepare(self, image: Image, archive: str, mode: str) -> Steps:  # noqa: ARG002
        """Unpack the image."""
        place = f"{STORE}/{image.container}"
        if image.kind != "registry":
            return (("sudo", "python3", "-c", source("unpack"), archive, place),)
        scheme, _, reference = image.reference.rpartition("://")
        plain = "--src-tls-verify=false" if scheme == "http" else ""
        return (("sh", "-c", _PULL, "pull", source("unpack"), reference, plain, place),)

    def discard(self, image: Image) -> Steps:
        """Remove the tree."""
        return (("sudo", "rm", "-rf", f"{STORE}/{image.container}"),)

    def present(self, container: str) -> tuple[str, ...]:
        """Look for what is written last."""
        return "test", "-e", f"{STORE}/{container}/config"

    def run(self, inside: Inside) -> tuple[str, ...]:
        """Name the container after the job, so that it is found again; pass on MPI's variables by name."""
        entries = [
            *(_entry(at, at) for at in (inside.home, *_SHARED)),
            *(_entry(at, at, "ro") for at in _FILES),
            *(_entry(each.source, each.target, "ro" if each.read_only else "rw") for each in inside.mounts),
        ]
        settings = " ".join(f"-s {entry}" for entry in entries)
        user = shlex.quote(inside.user)
        line = (
            f"user={user}; case $user in '') user=$(id -u) ;; *[!0-9]*) user=$(id -u \"$user\") || exit ;; esac\n"
            f"names=$(env | sed -nE 's/^(({PASSED})[A-Za-z0-9_]*|HOME|USER|TERM)=.*/-s lxc.environment=\\1/p')\n"
            'for name in $IM_JOB_ENV; do [ "$name" = -e ] || names="$names -s lxc.environment=$name"; done\n'
            f"{demand(inside.mounts)}place={STORE}/$1 folder=$2; shift 2\n"
            'kind() { if [ -d "$1" ]; then echo dir; else echo file; fi; }\n'
            f'exec sudo -E lxc-execute -n "im-$IM_JOB-$$" -P {_RUN} -f "$place/config" {settings} $names'
            ' -s "lxc.init.uid=$user" -s "lxc.init.gid=$user" -s "lxc.init.cwd=$folder" -- "$@"'
        )
        return "sh", "-c", line, "rank", inside.container, inside.folder

    def clean(self, job: str) -> tuple[str, ...]:
        """Remove the control groups of monitors that were killed."""
        return "sh", "-c", f"sudo rmdir /sys/fs/cgroup/*/lxc.*.im-{job}-*"


def _entry(source_path: str, target: str, access: str = "rw") -> str:
    r"""Return an entry of a mount table for the shell, which knows what the node has there.

    The kernel's own escape stands for blanks.

    >>> print(_entry("/a b", "/data", "ro"))
    'lxc.mount.entry=/a\040b data none rbind,ro,create='"$(kind '/a b')"' 0 0'
    """
    paths = [path.replace(" ", "\\040") for path in (source_path, target.lstrip("/"))]
    entry = shlex.quote(f"lxc.mount.entry={paths[0]} {paths[1]} none rbind,{access},create=")
    return f"{entry}\"$(kind {shlex.quote(source_path)})\"' 0 0'"
