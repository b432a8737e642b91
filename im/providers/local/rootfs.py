"""What the first process of a node does before it becomes its init: mounts, devices, root. Standard library only."""

from __future__ import annotations

import os
import signal
import socket
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from im.providers.local import linux

PROTECTED = ("sys/kernel", "sys/vm", "sys/fs", "sysrq-trigger", "irq", "bus")
"""Parts of /proc that no namespace covers: readable in a node, never writable."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "fuse", "kvm")
_INIT = ("/usr/bin/tini", "--", "/usr/local/lib/im/node")
INIT_PROGRAM = Path(_INIT[0]).name
"""By this name the first process of a node can be told from one that has yet to become its init."""

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "container": "im",
}


@dataclass(frozen=True)
class Root:
    """How to make a node's file system. ``folder`` holds ``upper``, ``work``, ``m`` and what is not on the overlay.

    ``cgroups``: (mount point below /sys/fs/cgroup, type, options). ``links``: (name, what it points to) there.
    """

    folder: str
    image: str
    hostname: str
    shared: tuple[tuple[str, str], ...] = ()
    cgroups: tuple[tuple[str, str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def become_init(root: Root) -> None:
    """Build the node's view of the world and turn into its init; returns only by exception."""
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    os.chdir(root.folder)
    _mount_root(root)
    _mount_kernel_views("m")
    _make_devices("m/dev")
    _mount_cgroups(root)
    _mount_kept_folders(root)
    socket.sethostname(root.hostname)
    _enter("m")
    linux.drop_dangerous_capabilities()
    _forget_signals()
    os.execve(_INIT[0], list(_INIT), _ENVIRONMENT)  # noqa: S606 -- no shell is wanted


def _mount_root(root: Root) -> None:
    """Mount by short relative names, so that no character of the user's path can break the options."""
    base = Path("base")
    base.unlink(missing_ok=True)
    base.symlink_to(root.image)
    linux.mount("overlay", "m", "overlay", data="lowerdir=base,upperdir=upper,workdir=work")


def _mount_kernel_views(m: str) -> None:
    quiet = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("proc", f"{m}/proc", "proc", quiet)
    for part in PROTECTED:
        if (target := Path(m, "proc", part)).exists():
            linux.mount(str(target), str(target), flags=linux.MS_BIND | linux.MS_REC)
            linux.mount("none", str(target), flags=linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY | quiet)
    _mount_boot_id(f"{m}/proc/sys/kernel/random/boot_id", quiet)
    linux.mount("sysfs", f"{m}/sys", "sysfs", quiet | linux.MS_RDONLY)
    linux.mount("tmpfs", f"{m}/run", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755")
    for name in ("sshd", "lock"):
        Path(m, "run", name).mkdir()


def _mount_boot_id(target: str, quiet: int) -> None:
    """Let the node be a machine of its own: MPI libraries take processes with one boot id for neighbours in memory."""
    Path("boot_id").write_text(f"{uuid.uuid4()}\n")
    linux.mount("boot_id", target, flags=linux.MS_BIND)
    linux.mount("none", target, flags=linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY | quiet)


def _make_devices(dev: str) -> None:
    linux.mount("tmpfs", dev, "tmpfs", linux.MS_NOSUID, "mode=755")
    for name in _DEVICES:
        if Path("/dev", name).exists():
            _copy_device(f"/dev/{name}", f"{dev}/{name}")
    for name in ("pts", "shm", "mqueue", "net"):
        Path(dev, name).mkdir()
    os.mknod(f"{dev}/net/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
    links = {"fd": "/proc/self/fd", "ptmx": "pts/ptmx"}
    links |= {name: f"/proc/self/fd/{number}" for number, name in enumerate(("stdin", "stdout", "stderr"))}
    for name, target in links.items():
        Path(dev, name).symlink_to(target)
    quiet = linux.MS_NOSUID | linux.MS_NOEXEC
    linux.mount("devpts", f"{dev}/pts", "devpts", quiet, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    linux.mount("tmpfs", f"{dev}/shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
    linux.mount("mqueue", f"{dev}/mqueue", "mqueue", quiet | linux.MS_NODEV)


def _copy_device(source: str, target: str) -> None:
    os.mknod(target, stat.S_IFCHR | 0o666, Path(source).stat().st_rdev)
    Path(target).chmod(0o666)


def _mount_cgroups(root: Root) -> None:
    """Mount what this machine has; under the cgroup namespace a node sees its own subtree only."""
    top = Path("m/sys/fs/cgroup")
    quiet = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    if any(name for name, _, _ in root.cgroups):
        linux.mount("tmpfs", str(top), "tmpfs", quiet, "mode=755")
    for name, kind, options in root.cgroups:
        if name:
            (top / name).mkdir()
        linux.mount("cgroup", str(top / name), kind, quiet, options)
    for name, target in root.links:
        (top / name).symlink_to(target)


def _mount_kept_folders(root: Root) -> None:
    """Bind what must not lie on the overlay or is shared, and lay the node's package cache over the common one."""
    kept = {"docker": "var/lib/docker", "containerd": "var/lib/containerd", "var-tmp": "var/tmp", "tmp": "tmp"}
    for name, target in kept.items():
        _bind(name, f"m/{target}")
    for source, target in root.shared:
        _bind(source, f"m/{target.lstrip('/')}")
    linux.mount(
        "overlay",
        "m/var/cache/apt/archives",
        "overlay",
        data="lowerdir=common-debs,upperdir=debs,workdir=debs-work",
    )


def _bind(source: str, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    linux.mount(source, target, flags=linux.MS_BIND)


def _enter(new_root: str) -> None:
    os.chdir(new_root)
    Path(".old").mkdir(exist_ok=True)
    linux.pivot_root(".", ".old")
    os.chdir("/")
    linux.unmount("/.old")
    Path("/.old").rmdir()


def _forget_signals() -> None:
    """Undo what the interpreter and its parents ignore: it would be inherited by everything in the node."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
