"""Nodes of one infrastructure: their folders, their start, their end. Callers hold the infrastructure's lock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from im.plan.model import Identity
from im.providers.local import cgroups, network, subnets
from im.providers.local.files import make_folder, write_file
from im.providers.local.image import keep_packages
from im.providers.local.processes import Process, identify, kill
from im.providers.local.rootfs import INIT_PROGRAM, Root
from im.providers.local.spawn import Job, run_spawner
from im.providers.local.state import InfrastructureFolder, Mark, NodeFolder

_PATIENCE = 10.0
_KEPT = ("upper", "work", "m", "docker", "containerd", "debs", "debs-work")
_LOCAL_RESOLVER = "nameserver 127.0.0.53"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all nodes of one call have in common."""

    infrastructure: InfrastructureFolder
    subnet: IPv4Network
    hierarchies: tuple[cgroups.Hierarchy, ...]
    packages: Path


def write_files(folder: NodeFolder, mark: Mark, identity: Identity | None) -> None:
    """Put into a new node what it must know from its first byte: its name, its host key, who may log in."""
    upper = folder.path / "upper"
    write_file(upper / "etc/hostname", f"{mark.name}\n")
    write_file(upper / "etc/hosts", f"127.0.0.1 localhost\n{mark.address} {mark.name}\n")
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        make_folder(upper / "etc/ssl/certs")
        shutil.copyfile(bundle, upper / "etc/ssl/certs/ca-certificates.crt")
    if identity:
        write_file(upper / "etc/ssh/ssh_host_ed25519_key", identity.host_key, 0o600)
        write_file(upper / "etc/ssh/ssh_host_ed25519_key.pub", f"{identity.host_public_key}\n")
        _write_authorized_keys(upper, identity)


def _write_authorized_keys(upper: Path, identity: Identity) -> None:
    """Only root exists in a fresh node: its keys are those of the identity, whatever the user is called."""
    home = upper / "root"
    write_file(home / ".ssh/authorized_keys", "".join(f"{key}\n" for key in identity.authorized_keys), 0o600)
    for path in (home, home / ".ssh"):
        path.chmod(0o700)


def _resolver() -> str:
    """Return this machine's resolver as a node can use it: not systemd-resolved's, which is on the loopback."""
    text = Path("/etc/resolv.conf").read_text()
    upstream = Path("/run/systemd/resolve/resolv.conf")
    return upstream.read_text() if _LOCAL_RESOLVER in text and upstream.exists() else text


def idle(nodes: Sequence[tuple[NodeFolder, Mark]]) -> list[tuple[NodeFolder, Mark]]:
    """Return the nodes that do not run.

    What a killed helper has let go is not the node's init yet, or ends before it is: that is waited for.
    """
    end = time.monotonic() + _PATIENCE
    return [item for item in nodes if not _runs(item[0].process, end)]


def _runs(process: Process | None, end: float) -> bool:
    while process and (program := process.program()) != INIT_PROGRAM:
        if not program or time.monotonic() > end:
            return False
        time.sleep(0.01)
    return process is not None


def start(around: Surroundings, nodes: Sequence[tuple[NodeFolder, Mark]], images: dict[str, Path], lock: int) -> None:
    """Start nodes that do not run, all at once; what fails alone has its error written down."""
    end(around, [folder for folder, _ in nodes if folder.process])
    jobs = []
    for folder, mark in nodes:
        _make_ready(around, folder, mark)
        jobs.append(_job(around, folder, mark, images[mark.image]))
    if jobs:
        run_spawner(str(network.namespace_of(around.infrastructure.id)), jobs, lock)


def _make_ready(around: Surroundings, folder: NodeFolder, mark: Mark) -> None:
    folder.forget_run()
    folder.want("running")
    write_file(folder.path / "upper/etc/resolv.conf", _resolver())
    shutil.rmtree(folder.path / "tmp", ignore_errors=True)
    for name in _KEPT:
        make_folder(folder.path / name)
    for name in ("tmp", "var-tmp"):
        make_folder(folder.path / name, 0o1777)
    (folder.path / "common-debs").unlink(missing_ok=True)
    (folder.path / "common-debs").symlink_to(around.packages)
    for target in mark.shared:
        make_folder(around.infrastructure.shared(target))


def _job(around: Surroundings, folder: NodeFolder, mark: Mark, image: Path) -> Job:
    mounts, links = cgroups.views(around.hierarchies)
    root = Root(
        folder=str(folder.path),
        image=str(image),
        hostname=mark.name,
        shared=tuple((str(around.infrastructure.shared(target)), target) for target in mark.shared),
        cgroups=mounts,
        links=links,
    )
    return Job(
        root=root,
        link=subnets.link(mark.address),
        mac=subnets.mac(mark.address),
        address=mark.address,
        netmask=str(around.subnet.netmask),
        router=subnets.router(around.subnet),
        cgroups=cgroups.create(around.hierarchies, mark.infrastructure, mark.id, mark.cpus, mark.memory),
    )


def end(around: Surroundings, nodes: Sequence[NodeFolder]) -> bool:
    """End all processes of nodes and remove their control groups; False when something would not end in time."""
    first = [process for folder in nodes if (process := folder.process)]
    if not kill(first, _PATIENCE):
        return False
    ids = [folder.path.name for folder in nodes]
    strays = {pid for one in ids for pid in cgroups.processes(around.hierarchies, around.infrastructure.id, one)}
    if not kill([identify(pid) for pid in strays], _PATIENCE):
        return False
    busy = [cgroups.remove(around.hierarchies, around.infrastructure.id, one) for one in ids]
    return not any(busy)


def erase(around: Surroundings, folder: NodeFolder) -> None:
    """Remove what an ended node left on disk, its mark last; its downloaded packages are kept for others."""
    keep_packages(folder.path / "debs", around.packages)
    with suppress(FileNotFoundError):
        for path in folder.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in {"mark.json", "wanted"}:
                path.unlink()
    for name in ("mark.json", "wanted"):
        (folder.path / name).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        folder.path.rmdir()
