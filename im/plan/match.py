"""Which image and which flavor of a cloud serve a node group."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from im.errors import InputError, NoCapacity
from im.plan.model import Catalog, Flavor, Image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from im.topology.model import Hardware, NodeGroup, OperatingSystem

ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


class Match(NamedTuple):
    """What a group gets. A cloud of any size gives a nameless flavor with exactly what was asked for."""

    image: Image
    flavor: Flavor


def match(group: NodeGroup, catalog: Catalog) -> Match:
    """Return the best image and the smallest flavor for a group.

    Raises :class:`im.errors.InputError` if the cloud does not have what is named, :class:`im.errors.NoCapacity` if
    nothing is large enough.
    """
    where = place(group)
    image = _image(group.os, catalog.images, where)
    if catalog.any_size:
        return Match(image, _made_to_measure(group.hardware, catalog.largest, where))
    return Match(image, _flavor(group.hardware, _on_flavor(image, group, where), catalog.flavors, where))


def _on_flavor(image: Image, group: NodeGroup, where: str) -> Image:
    """Return the image as a flavor has to carry it: without a disk where the group boots from volumes."""
    if not group.boot_volume:
        return image
    if group.boot_volume < image.min_disk:
        hint = f"it needs {size(image.min_disk)}"
        raise InputError(
            f"a boot volume of {size(group.boot_volume)} is too small for {image.name}", where=where, hint=hint
        )
    return replace(image, min_disk=0)


def place(group: NodeGroup) -> str:
    """Where a group stands, for error messages."""
    return f"{group.mark}: {group.name}" if group.mark.file else group.name


def size(number: int) -> str:
    """Bytes for people: ``8 GiB``, ``512 MiB``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= factor:
            return f"{number / factor:.4g} {unit}"
    return f"{number} B"


# images


def _image(wanted: OperatingSystem, images: tuple[Image, ...], where: str) -> Image:
    fitting = [image for image in images if (_named(wanted.image, image) if wanted.image else _is(wanted, image))]
    if not fitting:
        asked = _os_text(wanted)
        raise InputError(f"this cloud has no image {asked}", where=where, hint=_nearest_images(asked, images))
    return max(fitting, key=lambda image: (image.present, _version_key(image.version) if wanted.distribution else ()))


def _named(name: str, image: Image) -> bool:
    return name == image.id or name.casefold() == image.name.casefold()


def _is(wanted: OperatingSystem, image: Image) -> bool:
    """Whether an image has the properties that are asked for; what an image does not tell does not fit."""
    return (
        (
            not wanted.architecture
            or not image.architecture
            or _architecture(wanted.architecture) == _architecture(image.architecture)
        )
        and (wanted.type.casefold() in {"", "linux"} or wanted.type.casefold() == image.distribution.casefold())
        and (not wanted.distribution or wanted.distribution.casefold() == image.distribution.casefold())
        and (not wanted.version or _version_fits(wanted.version, image.version))
    )


def _architecture(name: str) -> str:
    return ARCHITECTURES.get(name.casefold(), name.casefold())


def _version_fits(wanted: str, offered: str) -> bool:
    """``12`` fits ``12.5``, but not ``120``."""
    parts = wanted.split(".")
    return offered.split(".")[: len(parts)] == parts


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _os_text(wanted: OperatingSystem) -> str:
    if wanted.image:
        return repr(wanted.image)
    named = (("distribution", wanted.distribution), ("version", wanted.version), ("architecture", wanted.architecture))
    asked = [f"{key} {value}" for key, value in (*named, ("type", wanted.type)) if value]
    return f"with {', '.join(asked)}" if asked else "at all"


def _nearest_images(asked: str, images: Iterable[Image]) -> str:
    names = sorted({image.name or image.id for image in images})
    near = difflib.get_close_matches(asked.strip("'"), names, n=3, cutoff=0.5) or names[:8]
    return f"it has: {', '.join(near)}" if near else "it has no images"


# sizes


def _made_to_measure(wanted: Hardware, largest: Flavor | None, where: str) -> Flavor:
    if wanted.flavor:
        raise InputError(
            f"this cloud has no flavors, so no {wanted.flavor!r}", where=where, hint="ask for num_cpus and mem_size"
        )
    flavor = Flavor("", "", wanted.cpus, wanted.memory, wanted.disk, wanted.gpus)
    if largest and (missing := _shortfalls(wanted, largest)):
        raise NoCapacity(
            f"asked for {missing[0]}", where=where, hint=f"the largest node here has {_flavor_text(largest)}"
        )
    return flavor


def _flavor(wanted: Hardware, image: Image, flavors: tuple[Flavor, ...], where: str) -> Flavor:
    if wanted.flavor:
        return _flavor_by_name(wanted, image, flavors, where)
    fitting = [flavor for flavor in flavors if not _shortfalls(wanted, flavor) and _carries(flavor, image)]
    if not fitting:
        raise NoCapacity(
            f"no flavor has {_hardware_text(wanted, image)}", where=where, hint=_nearest_flavor(wanted, flavors)
        )
    return min(fitting, key=lambda flavor: (flavor.gpus, flavor.cpus, flavor.memory, flavor.disk, flavor.name))


def _flavor_by_name(wanted: Hardware, image: Image, flavors: tuple[Flavor, ...], where: str) -> Flavor:
    for flavor in flavors:
        if wanted.flavor in {flavor.id, flavor.name}:
            if missing := _shortfalls(wanted, flavor):
                hint = f"{flavor.name} has {_flavor_text(flavor)}"
                raise InputError(f"flavor {flavor.name} is too small: asked for {missing[0]}", where=where, hint=hint)
            if not _carries(flavor, image):
                needed = _flavor_text(Flavor("", "", 1, image.min_memory, image.min_disk))
                hint = f"the image needs {needed.partition(', ')[2]}; {flavor.name} has {_flavor_text(flavor)}"
                raise InputError(f"flavor {flavor.name} is too small for image {image.name}", where=where, hint=hint)
            return flavor
    names = sorted(flavor.name for flavor in flavors)
    near = difflib.get_close_matches(wanted.flavor, names, n=3) or names[:8]
    raise InputError(f"this cloud has no flavor {wanted.flavor!r}", where=where, hint=f"it has: {', '.join(near)}")


def _shortfalls(wanted: Hardware, flavor: Flavor) -> list[str]:
    """What a flavor lacks, each as asked for and as offered. A disk of 0 in a flavor grows with the image."""
    checks = (
        (wanted.cpus, flavor.cpus, "CPUs"),
        (wanted.memory, flavor.memory, "of memory"),
        (wanted.disk if flavor.disk else 0, flavor.disk, "of disk"),
        (wanted.gpus, flavor.gpus, "GPUs"),
    )
    return [_shortfall(*check) for check in checks if check[0] > check[1]]


def _shortfall(wanted: int, offered: int, of_what: str) -> str:
    write = size if of_what.startswith("of") else str
    return f"{write(wanted)} {of_what}, {write(offered)} are possible"


def _carries(flavor: Flavor, image: Image) -> bool:
    return flavor.memory >= image.min_memory and (flavor.disk == 0 or flavor.disk >= image.min_disk)


def _nearest_flavor(wanted: Hardware, flavors: tuple[Flavor, ...]) -> str:
    if not flavors:
        return "it has no flavors"
    near = min(flavors, key=lambda flavor: (len(_shortfalls(wanted, flavor)), -flavor.cpus, -flavor.memory))
    return f"the nearest is {near.name} with {_flavor_text(near)}"


def _hardware_text(wanted: Hardware, image: Image) -> str:
    memory = max(wanted.memory, image.min_memory)
    disk = max(wanted.disk, image.min_disk)
    return _flavor_text(Flavor("", "", wanted.cpus, memory, disk, wanted.gpus))


def _flavor_text(flavor: Flavor) -> str:
    parts = [f"{flavor.cpus} CPUs"]
    parts += [f"{size(flavor.memory)} of memory"] if flavor.memory else []
    parts += [f"{size(flavor.disk)} of disk"] if flavor.disk else []
    parts += [f"{flavor.gpus} GPUs"] if flavor.gpus else []
    return ", ".join(parts)
