"""Unpacks an image into a root file system with a configuration for LXC, as root on a node.

``unpack.py ARCHIVE PLACE`` makes ``PLACE/rootfs`` and ``PLACE/config``. The archive is one of ``docker save``, an OCI
archive, or a tar of a root file system. Layers are unpacked by a process that has the tree as its root: no link of an
image leads out of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

# /sys without what is mounted below it: LXC's init would forbid the whole node to start processes (pids.max).
CONFIG = """\
lxc.rootfs.path = dir:{place}/rootfs
lxc.namespace.keep = user net ipc pid uts
lxc.net.0.type = none
lxc.autodev = 1
lxc.console.path = none
lxc.mount.entry = /proc proc none rbind,create=dir 0 0
lxc.mount.entry = /sys sys none bind,ro,create=dir 0 0
lxc.environment = PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""
BLOT = ".wh."
OPAQUE = ".wh..wh..opq"


def lay(layer: tarfile.TarFile, root: Path) -> None:
    """Put a layer over what is in ``root``, in a process that sees nothing else. Raises ``OSError``."""
    child = os.fork()
    if child == 0:
        try:
            os.chroot(root)
            os.chdir("/")
            unpack(layer, Path("/"))
        except BaseException as error:  # noqa: BLE001 - the parent must not go on twice
            os.write(2, f"{error}\n".encode())
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise OSError("a layer of the image cannot be unpacked")


def unpack(layer: tarfile.TarFile, root: Path) -> None:
    """Unpack into ``root``, which must be the process's own.

    What the layer blots out goes, the rest takes the place of what was there.
    """
    if hasattr(tarfile, "fully_trusted_filter"):
        layer.extraction_filter = tarfile.fully_trusted_filter  # it has a root of its own
    kinds: dict[bool, list[tarfile.TarInfo]] = {True: [], False: []}
    for member in layer:
        kinds[Path(member.name).name.startswith(BLOT)].append(member)
    for member in kinds[True]:
        path = root / member.name.lstrip("/")
        hidden = path.with_name(path.name[len(BLOT) :])
        for gone in path.parent.glob("*") if path.name == OPAQUE else [hidden]:
            remove(gone)
    for member in kinds[False]:
        path = root / member.name.lstrip("/")
        if path != root and not (member.isdir() and path.is_dir()):
            remove(path)
        layer.extract(member, root, numeric_owner=True)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()


class Image:
    """An image in an archive; ``names`` are its members without "./"."""

    def __init__(self, archive: tarfile.TarFile, names: dict[str, str]) -> None:
        self.archive, self.names = archive, names
        if "manifest.json" in names:
            manifest = self.read("manifest.json")[0]
            layers, config = manifest["Layers"], manifest["Config"]
        else:
            manifest = self.read(blob(self.read("index.json")["manifests"][0]))
            layers, config = [blob(layer) for layer in manifest["layers"]], blob(manifest["config"])
        self.layers: list[str] = [names[layer] for layer in layers]
        self.variables: list[str] = (self.read(config).get("config") or {}).get("Env") or []

    def read(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return a member that is JSON."""
        return json.load(self.archive.extractfile(self.names[name]))  # type: ignore[arg-type]


def blob(descriptor: dict[str, str]) -> str:
    """Return where OCI keeps what a descriptor means."""
    return "blobs/" + descriptor["digest"].replace(":", "/")


def main(path: Path, place: Path) -> int:
    """Unpack, and write the configuration last."""
    shutil.rmtree(place, ignore_errors=True)
    root = place / "rootfs"
    root.mkdir(parents=True)
    variables: list[str] = []
    with tarfile.open(path) as archive:
        names = {name.removeprefix("./"): name for name in archive.getnames()}
        if {"manifest.json", "oci-layout"} & set(names):
            image = Image(archive, names)
            variables = image.variables
            for layer in image.layers:
                with tarfile.open(fileobj=archive.extractfile(layer)) as opened:
                    lay(opened, root)
        else:
            lay(archive, root)
    lines = "".join(f"lxc.environment = {variable}\n" for variable in variables if "\n" not in variable)
    (place / "config").write_text(CONFIG.format(place=place) + lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
