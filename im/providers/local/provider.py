"""Provider ``local`` behind the interface that all clouds share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from im.config import Settings
from im.errors import NoCapacity, ProviderError
from im.events import Emit, Event, Kind
from im.plan.model import Catalog, Flavor, Instance, NodeSpec
from im.providers.base import Capability, Check, Environment
from im.providers.local import cgroups, checks, network, nodes, sources, state, subnets
from im.providers.local.commands import translated
from im.providers.local.files import make_folder
from im.providers.local.image import ImageCache, Recipe
from im.providers.local.locks import is_locked, locked
from im.providers.local.machine import machine_lock
from im.providers.local.processes import identify, kill
from im.providers.local.state import InfrastructureFolder, Mark, NodeFolder

_Nodes = Sequence[tuple[NodeFolder, Mark]]


class LocalProvider:
    """Nodes on this machine; needs root. All state is on disk and in the kernel, found again by names and marks."""

    capabilities = frozenset(
        {
            Capability.PRIVATE_NETWORK,
            Capability.SHARED_DIRECTORY,
            Capability.STOP_START,
            Capability.CONSOLE,
            Capability.DIRECT,
            Capability.SHARED_CORES,
        }
    )

    def __init__(self, settings: Settings, cloud: str = "local") -> None:
        self.name = cloud
        self._settings = settings
        self._images = ImageCache(settings.cache / "local")

    # -- looking ------------------------------------------------------------------------------------------------

    def check(self) -> tuple[Check, ...]:
        """Look whether this machine can run nodes; changes nothing."""
        return tuple(checks.all_checks(self._settings))

    def catalog(self) -> Catalog:
        """Return the one image, and this machine as the largest size."""
        images = tuple(self._images.describe(recipe) for recipe in self._recipes)
        return Catalog(images=images, any_size=True, largest=_this_machine(self._settings.home))

    def list(self, infrastructure: str | None = None) -> tuple[Instance, ...]:
        """Return all nodes that have a mark on disk, with what their processes say."""
        home = self._settings.home
        if infrastructure is None:
            folders = state.infrastructure_folders(home)
        else:
            folders = (state.infrastructure_folder(home, infrastructure),)
        return tuple(one for folder in folders for one in _instances(folder))

    def infrastructures(self) -> Mapping[str, None]:
        """Return the ids of all infrastructures that this ``IM_HOME`` has on this machine."""
        return dict.fromkeys(folder.id for folder in state.infrastructure_folders(self._settings.home))

    def console(self, id: str) -> str:  # noqa: A002
        """Return the end of what the node's init and sshd said."""
        return self._node(id).console()

    def publish(self, id: str) -> str:  # noqa: A002, ARG002
        """Return "": every node is reachable from this machine as it is."""
        return ""

    def attach(self, specs: Sequence[NodeSpec]) -> bool:  # noqa: ARG002
        """Return True: there are no volumes here, a folder of the root disk takes their place."""
        return True

    # -- making -------------------------------------------------------------------------------------------------

    @translated()
    def prepare(self, environment: Environment, emit: Emit) -> None:
        """Make the base image if it is missing, and the infrastructure's network."""
        checks.require_root()
        self._require_programs()
        for image in environment.images:
            self._make_image(environment, image, emit)
        folder = state.infrastructure_folder(self._settings.home, environment.infrastructure)
        with locked(folder.lock):
            wanted = next((one.cidr for one in environment.networks if one.cidr and not one.public), "")
            self._ensure_network(folder, wanted)
            for target in environment.shared:
                make_folder(folder.shared(target))

    @translated()
    def create(self, specs: Sequence[NodeSpec]) -> tuple[Instance, ...]:
        """Start the nodes that do not run yet; all of one infrastructure start at once."""
        if not specs:
            return ()
        checks.require_root()
        _require_size(specs, _this_machine(self._settings.home))
        images = self._present_images({spec.image for spec in specs})
        found: dict[str, Instance] = {}
        for infrastructure in dict.fromkeys(spec.infrastructure for spec in specs):
            folder = state.infrastructure_folder(self._settings.home, infrastructure)
            mine = [spec for spec in specs if spec.infrastructure == infrastructure]
            found |= self._create_in(folder, mine, images)
        return tuple(found[spec.token] for spec in specs)

    @translated()
    def start(self, ids: Sequence[str]) -> None:
        """Start these nodes again, with their disks and addresses; after a restart of the machine also the network."""
        for folder, chosen in self._grouped(ids):
            with locked(folder.lock) as lock:
                self._start(folder, [item for item in folder.nodes() if item[1].id in chosen], lock)

    # -- ending -------------------------------------------------------------------------------------------------

    @translated()
    def stop(self, ids: Sequence[str]) -> None:
        """End all processes of these nodes, and keep their disks."""
        for folder, chosen in self._grouped(ids):
            with locked(folder.lock):
                found = [node for node, mark in folder.nodes() if mark.id in chosen]
                for node in found:
                    node.want("stopped")
                nodes.end(self._surroundings(folder), found)

    @translated()
    def delete(self, ids: Sequence[str]) -> None:
        """End these nodes and remove their disks. What does not end in time stays listed as ``deleting``."""
        for folder, chosen in self._grouped(ids):
            with locked(folder.lock):
                self._delete(folder, chosen)

    @translated()
    def release(self, infrastructure: str) -> tuple[str, ...]:
        """Remove network, control groups and folders, by the infrastructure's id alone, once it has no nodes."""
        checks.require_root()
        folder = state.infrastructure_folder(self._settings.home, infrastructure)
        if not (folder.path.exists() or network.is_up(infrastructure)):
            return self._remove_rest(folder)
        with locked(folder.lock):
            self._delete(folder, [mark.id for node, mark in folder.nodes() if node.wanted == "deleting"])
            if left := [f"node {mark.name} ({mark.id}): delete it first" for _, mark in folder.nodes()]:
                return tuple(left)
            if left := list(self._remove_rest(folder)):
                return tuple(left)
            shutil.rmtree(folder.path, ignore_errors=True)
        with suppress(OSError):
            folder.path.parent.rmdir()
        return (f"folder {folder.path}",) if folder.path.exists() else ()

    # -- details ------------------------------------------------------------------------------------------------

    def _remove_rest(self, folder: InfrastructureFolder) -> tuple[str, ...]:
        """Remove what the kernel has of an infrastructure, with any process that lost its mark."""
        hierarchies = cgroups.hierarchies()
        kill([identify(pid) for pid in cgroups.processes(hierarchies, folder.id)], 10.0)
        busy = cgroups.remove(hierarchies, folder.id)
        with machine_lock():
            left = network.down(folder.id)
        return (*left, *(f"control group {path}" for path in busy))

    @cached_property
    def _recipes(self) -> tuple[Recipe, ...]:
        given = self._settings.local_mirror
        try:
            lines = sources.given_sources(given) if given else sources.machine_sources("bookworm")
        except ProviderError:
            lines = ""
        return (Recipe("debian-12", "bookworm", "12", lines, sources.apt_settings()),)

    def _recipe(self, image: str) -> Recipe:
        for recipe in self._recipes:
            if recipe.id == image:
                return recipe
        known = ", ".join(recipe.id for recipe in self._recipes)
        raise ProviderError(f"there is no image {image!r}", where="local", hint=f"images here: {known}")

    def _make_image(self, environment: Environment, image: str, emit: Emit) -> None:
        recipe = self._recipe(image)
        if self._images.root(recipe).is_dir():
            return
        if not recipe.sources:
            sources.machine_sources(recipe.release)  # says what is missing

        def tell(kind: Kind, message: str = "", **data: object) -> None:
            emit(Event(environment.infrastructure, "infrastructure", image, "image", kind, "", message, data))

        tell("started", f"making the base image {image}, once")
        try:
            self._images.ensure(recipe, lambda done, total, now: tell("progress", now, done=done, total=total))
        except BaseException as error:
            tell("failed", str(error) or type(error).__name__)
            raise
        tell("finished", f"base image {image} is ready")

    def _present_images(self, wanted: set[str]) -> dict[str, Path]:
        found = {image: self._images.root(self._recipe(image)) for image in wanted}
        for image, root in found.items():
            if not root.is_dir():
                hint = "deploy again: it is made first"
                raise ProviderError(f"the image {image} is not made yet", where="local", hint=hint)
        return found

    def _require_programs(self) -> None:
        if missing := checks.missing_programs():
            packages = " ".join(sorted(set(missing.values())))
            hint = f"apt-get install {packages}"
            raise ProviderError(f"not installed: {', '.join(missing)}", where="local", hint=hint)

    def _ensure_network(self, folder: InfrastructureFolder, wanted: str = "") -> None:
        """Bring the network up, in the subnet that the infrastructure has or gets now."""
        with machine_lock():
            subnet = folder.subnet
            if subnet is None:
                others = state.infrastructure_folders(self._settings.home)
                taken = [other for one in others if one.id != folder.id and (other := one.subnet)]
                subnet = network.pick(folder.id, self._settings.local_subnets, wanted, taken)
                folder.write_subnet(subnet)
            network.up(folder.id, subnet)

    def _surroundings(self, folder: InfrastructureFolder) -> nodes.Surroundings:
        subnet = folder.subnet or subnets.network("0.0.0.0/0", "no network")
        self._images.packages.mkdir(parents=True, exist_ok=True)
        return nodes.Surroundings(folder, subnet, cgroups.hierarchies(), self._images.packages)

    def _create_in(
        self, folder: InfrastructureFolder, specs: Sequence[NodeSpec], images: dict[str, Path]
    ) -> dict[str, Instance]:
        with locked(folder.lock) as lock:
            if folder.subnet is None or not network.is_up(folder.id):
                self._ensure_network(folder)
            known = {mark.token: (node, mark) for node, mark in folder.nodes()}
            fresh = [spec for spec in dict.fromkeys(specs) if spec.token not in known]
            known |= self._write_marks(folder, fresh, [mark.address for _, mark in known.values()])
            asked = {spec.token: known[spec.token] for spec in specs}
            idle = nodes.idle([item for item in asked.values() if item[0].wanted == "running"])
            nodes.start(self._surroundings(folder), idle, images, lock)
            return {token: state.instance(*item, being_made=False) for token, item in asked.items()}

    def _write_marks(
        self, folder: InfrastructureFolder, specs: Sequence[NodeSpec], used: Sequence[str]
    ) -> dict[str, tuple[NodeFolder, Mark]]:
        assert folder.subnet  # noqa: S101 -- made just before
        addresses = subnets.free_addresses(folder.subnet, used, len(specs))
        marks = [(state.new_mark(spec, address), spec) for spec, address in zip(specs, addresses, strict=True)]
        made: dict[str, tuple[NodeFolder, Mark]] = {}
        try:
            for mark, spec in marks:
                made[mark.token] = (folder.node(mark.id), mark)
                nodes.write_files(folder.node(mark.id), mark, spec.identity)
                folder.node(mark.id).write_mark(mark)
        except OSError:
            for node, _ in made.values():
                nodes.erase(self._surroundings(folder), node)
            raise
        return made

    def _start(self, folder: InfrastructureFolder, chosen: _Nodes, lock: int) -> None:
        idle = nodes.idle([item for item in chosen if item[0].wanted != "deleting"])
        if idle:
            checks.require_root()
            self._ensure_network(folder)
            images = self._present_images({mark.image for _, mark in idle})
            nodes.start(self._surroundings(folder), idle, images, lock)

    def _delete(self, folder: InfrastructureFolder, ids: Sequence[str]) -> None:
        found = [folder.node(one) for one in ids if folder.node(one).path.is_dir()]
        for node in found:
            node.want("deleting")
        around = self._surroundings(folder)
        if nodes.end(around, found):
            for node in found:
                nodes.erase(around, node)

    def _grouped(self, ids: Sequence[str]) -> Sequence[tuple[InfrastructureFolder, Sequence[str]]]:
        groups = state.by_infrastructure(ids)
        if groups:
            checks.require_root()
        folders = [(state.infrastructure_folder(self._settings.home, one), found) for one, found in groups.items()]
        return [(folder, found) for folder, found in folders if folder.path.is_dir()]

    def _node(self, id: str) -> NodeFolder:  # noqa: A002
        for infrastructure in state.by_infrastructure([id]):
            return state.infrastructure_folder(self._settings.home, infrastructure).node(id)
        return NodeFolder(self._settings.home / "local" / "none")


def _instances(folder: InfrastructureFolder) -> list[Instance]:
    being_made = is_locked(folder.lock)
    return [state.instance(node, mark, being_made=being_made) for node, mark in folder.nodes()]


def _this_machine(home: Path) -> Flavor:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    while not home.exists():
        home = home.parent
    return Flavor("machine", "this machine", os.cpu_count() or 1, memory, shutil.disk_usage(home).free)


def _require_size(specs: Sequence[NodeSpec], largest: Flavor) -> None:
    """Refuse a node that is bigger than the machine; all of them together may be."""
    for spec in specs:
        if spec.cpus > largest.cpus or spec.memory > largest.memory:
            raise NoCapacity(
                f"node {spec.name} wants {spec.cpus} CPUs and {spec.memory >> 20} MiB, "
                f"and this machine has {largest.cpus} CPUs and {largest.memory >> 20} MiB",
                where="local",
                hint="ask for a smaller node; many nodes may share the machine",
            )
