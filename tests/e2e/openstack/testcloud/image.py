"""The guest image: made by ``image/build.sh``, put into glance with the kernel and the ramdisk that it boots with."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from openstack.connection import Connection

from im.providers.local.sources import apt_settings, machine_sources
from testcloud.settings import Cloud
from testcloud.steps import StackError, Steps

BUILD = Path(__file__).parent / "image" / "build.sh"
RELEASE = "bookworm"
MADE_OF = "made-of"
PARTS = ("disk.qcow2", "kernel", "ramdisk")
OPTIONS = "root=/dev/vda console=tty0 console=ttyS0 quiet mitigations=off audit=0 net.ifnames=0 nomodeset"
KNOWN = {
    "os_distro": "debian",
    "os_version": "12",
    "architecture": "x86_64",
    "img_hv_type": "qemu",
    "hw_rng_model": "virtio",
}


def ensure(folder: Path, steps: Steps, packages: Sequence[str] = ()) -> None:
    """Make the image, unless it is there and would become the same again. Raises :class:`StackError`."""
    recipe = _recipe(packages)
    if (folder / MADE_OF).exists() and (folder / MADE_OF).read_text() == recipe:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="image-", dir=folder.parent) as made:
        work = Path(made)
        (work / "sources").write_text(machine_sources(RELEASE))
        (work / "settings").write_text(apt_settings())
        log = folder.parent / "image.log"
        command = [str(BUILD), str(work), RELEASE, *packages]
        with log.open("wb") as out:
            done = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise StackError(f"the guest image cannot be made: {''.join(last)} (all of it: {log})")
        finished = work / "finished"
        finished.mkdir()
        for part in PARTS:
            (work / part).rename(finished / part)
        (finished / MADE_OF).write_text(recipe)
        finished.rename(folder)
    size = (folder / "disk.qcow2").stat().st_size >> 20
    steps.done(f"guest image {folder.name} made ({size} MiB)")


def _recipe(packages: Sequence[str]) -> str:
    """Return one word for all that decides what is in an image, but for the versions of its packages."""
    files = sorted(file for file in BUILD.parent.rglob("*") if file.is_file())
    said = [RELEASE, *packages, *(str(file.relative_to(BUILD.parent)) for file in files)]
    return hashlib.sha256("\n".join(said).encode() + b"".join(file.read_bytes() for file in files)).hexdigest()


def remove(cloud: Cloud) -> None:
    """Forget the image, so that it is made again."""
    shutil.rmtree(cloud.image, ignore_errors=True)


def upload(admin: Connection, folder: Path) -> None:
    """Put the image into glance under the folder's name. The kernel and ramdisk are in no listing."""
    boot = {
        f"{part}_id": _put(admin, f"{folder.name}-{part}", folder / part, kind, kind, visibility="community")
        for part, kind in (("kernel", "aki"), ("ramdisk", "ari"))
    }
    least = {"min_disk": 2, "min_ram": 256}
    disk = folder / "disk.qcow2"
    _put(
        admin,
        folder.name,
        disk,
        "qcow2",
        "bare",
        visibility="public",
        os_command_line=OPTIONS,
        **least,
        **KNOWN,
        **boot,
    )


def _put(admin: Connection, name: str, file: Path, disk: str, container: str, **properties: object) -> str:
    image = admin.image.create_image(name=name, disk_format=disk, container_format=container, **properties)
    with file.open("rb") as data:
        headers = {"Content-Type": "application/octet-stream"}
        answer = admin.image.put(f"/images/{image.id}/file", headers=headers, data=data)
    if not answer.ok:
        raise StackError(f"glance does not take {file}: {answer.text}")
    return str(image.id)
