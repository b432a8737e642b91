"""What provider ``local`` needs of a machine, as checks that change nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from im.config import Settings
from im.errors import ImError, NotPermitted
from im.providers.base import Check
from im.providers.local import network, subnets
from im.providers.local.cgroups import hierarchies

PROGRAMS = {
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "iptables-save": "iptables",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""Program to the Debian package that has it."""

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNFIT_FILE_SYSTEMS = {"overlay", "nfs", "nfs4", "cifs", "fuse.sshfs", "9p", "virtiofs"}
_NAMESPACES = ("mnt", "uts", "ipc", "pid", "net", "cgroup")
ROOT_HINT = "run im_client as root: nodes are made of mounts, network links and control groups"


def require_root() -> None:
    """Raise :class:`im.errors.NotPermitted` without root's privileges."""
    if os.geteuid() != 0:
        raise NotPermitted("provider local needs root", where="local", hint=ROOT_HINT)


def missing_programs() -> dict[str, str]:
    """Return the programs that are not installed, with their packages."""
    return {name: package for name, package in PROGRAMS.items() if not shutil.which(name, path=_SEARCH_PATH)}


def all_checks(settings: Settings) -> Iterator[Check]:
    """Give every check's outcome; never raises for what it finds."""
    looks: tuple[Callable[[Settings], Check], ...] = (_root, _programs, _kernel, _disk, _subnet, _limits, _resolver)
    for look in looks:
        try:
            yield look(settings)
        except OSError as error:
            yield Check(look.__name__.strip("_"), "failed", str(error), "see docs/provider-local.md")


def _root(settings: Settings) -> Check:  # noqa: ARG001
    if os.geteuid() == 0:
        return Check("root", "ok")
    return Check("root", "failed", "not running as root", ROOT_HINT)


def _programs(settings: Settings) -> Check:  # noqa: ARG001
    if not (missing := missing_programs()):
        return Check("programs", "ok")
    hint = f"apt-get install {' '.join(sorted(set(missing.values())))}"
    return Check("programs", "failed", f"not installed: {', '.join(missing)}", hint)


def _kernel(settings: Settings) -> Check:  # noqa: ARG001
    missing = [name for name in _NAMESPACES if not Path("/proc/self/ns", name).exists()]
    if "overlay" not in Path("/proc/filesystems").read_text():
        missing.append("overlayfs")
    if missing:
        return Check(
            "kernel", "failed", f"the kernel lacks {', '.join(missing)}", "modprobe overlay, or another kernel"
        )
    return Check("kernel", "ok")


def _disk(settings: Settings) -> Check:
    kind = file_system(settings.home)
    if kind in _UNFIT_FILE_SYSTEMS:
        return Check("disk", "failed", f"{settings.home} is on {kind}", "set IM_HOME to a folder on a local disk")
    return Check("disk", "ok", f"{settings.home} is on {kind}")


def _subnet(settings: Settings) -> Check:
    try:
        subnet = subnets.choose(settings.local_subnets, network.busy_networks())
    except ImError as error:
        return Check("subnet", "failed", error.message, error.hint)
    return Check("subnet", "ok", f"next: {subnet}")


def _limits(settings: Settings) -> Check:  # noqa: ARG001
    found = {name for one in hierarchies() for name in one.controllers}
    if missing := {"cpu", "memory"} - found:
        message = f"no control group for {', '.join(sorted(missing))}"
        return Check("limits", "warning", message, "nodes run without this limit; mount the controller to have it")
    return Check("limits", "ok")


def _resolver(settings: Settings) -> Check:  # noqa: ARG001
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    servers = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
    upstream = Path("/run/systemd/resolve/resolv.conf").exists()
    if servers and all(server.startswith("127.") or server == "::1" for server in servers) and not upstream:
        hint = "name a server in /etc/resolv.conf that nodes can reach"
        return Check("resolver", "warning", "the resolver listens on this machine's loopback only", hint)
    return Check("resolver", "ok")


def file_system(path: Path) -> str:
    """Return the type of the file system that a path is, or will be, on."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    path = path.resolve()
    best, kind = "", "unknown"
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            where, found = line.split()[1:3]
            if path.is_relative_to(where) and len(where) >= len(best):
                best, kind = where, found
    return kind
