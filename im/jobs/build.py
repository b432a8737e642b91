"""Builds an image from a Dockerfile on the front-end, and keeps it in the cluster's own registry for all nodes."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from im.errors import InputError, JobError
from im.jobs.engines import ENGINES
from im.jobs.facts import survey
from im.jobs.images import Image, recognise
from im.jobs.preparation import ensure
from im.jobs.teller import Teller
from im.ssh.connection import command
from im.ssh.transfer import put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from im.events import Emit
    from im.jobs.facts import ClusterFacts
    from im.plan.model import Cluster

LOOK = 1.0
"""Seconds between two looks at the files, with ``watch``."""

BUILDERS = {
    "docker": (("sudo", "docker", "build", "--network=host"), ("sudo", "docker", "push"), ""),
    "podman": (
        ("podman", "build", "--network=host", "--isolation=chroot", "--format=docker"),
        ("podman", "push", "--tls-verify=false"),
        "localhost/",
    ),
}
"""Engine -> how it builds, how it pushes, and what it puts before the name of an image of its own."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is built from: a folder with a Dockerfile, arguments, and for ``ARG BASE`` an image or archive.

    A ``name`` of one word gets ``im/`` before it: udocker takes names of one word for Docker Hub's own.
    """

    name: str
    folder: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    base: str = ""

    @property
    def repository(self) -> str:
        """The image's name in the registry."""
        return self.name if "/" in self.name else f"im/{self.name}"


def digest_of(recipe: Recipe) -> str:
    """Return what changes when anything that the image is made of does: files with their modes, arguments, base.

    Raises :class:`im.errors.InputError` if there is no Dockerfile.
    """
    if not (recipe.folder / "Dockerfile").is_file():
        raise InputError(f"there is no Dockerfile in {recipe.folder}", where="image build")
    known = hashlib.sha256(repr((sorted(recipe.arguments.items()), recipe.base)).encode())
    for path in sorted(recipe.folder.rglob("*")):
        status = path.lstat()
        known.update(repr((str(path.relative_to(recipe.folder)), status.st_mode)).encode())
        if path.is_symlink():
            known.update(os.fsencode(path.readlink()))
        elif path.is_file():
            with path.open("rb") as file:
                known.update(hashlib.file_digest(file, "sha256").digest())
    return known.hexdigest()


def build_all(cluster: Cluster, recipe: Recipe, *, watch: bool, emit: Emit) -> Iterator[str]:
    """Build, and with ``watch`` again after each change, for ever; a build that fails then is told, and waits too."""
    while True:
        before = digest_of(recipe)
        try:
            yield build(cluster, recipe, emit=emit)
        except JobError as error:
            if not watch:
                raise
            tell = Teller(emit, cluster.infrastructure, "job", recipe.name, "image")
            tell("failed", "image-building", str(error))
        if not watch:
            return
        while digest_of(recipe) == before:
            time.sleep(LOOK)


def build(cluster: Cluster, recipe: Recipe, *, emit: Emit) -> str:
    """Build, push, and return the name by which all nodes get the image; at once if nothing changed.

    Raises :class:`im.errors.JobError` with what the builder said, :class:`im.errors.InputError`.
    """
    facts = survey(cluster)
    engine = builder(facts)
    digest = digest_of(recipe)
    name = f"{recipe.repository}:{digest[:12]}"
    reference = f"{facts.registry.partition('://')[2]}/{name}"
    tell = Teller(emit, cluster.infrastructure, "job", recipe.name, "image")
    tell("started", "image-building", f"{recipe.name} with {engine} on {cluster.front_end.name}")
    arguments = dict(recipe.arguments)
    if recipe.base:
        arguments["BASE"] = _base(cluster, facts, engine, recipe.base, emit)
    folder = f"{facts.home}/.im/builds/{digest[:16]}"
    put(cluster, cluster.front_end, recipe.folder, folder, user=cluster.user)
    _perform(cluster, script(engine, reference, folder, arguments), recipe.name)
    tell("finished", "image-built", f"{facts.registry}/{name}")
    return f"{facts.registry}/{name}"


def builder(facts: ClusterFacts) -> str:
    """Return the engine that builds. Raises :class:`im.errors.InputError` where there is none, or no registry."""
    if not facts.registry:
        hint = "add im.nodes.Registry to the front-end in the template and deploy it again"
        raise InputError("the sub-cluster has no registry of its own", where="image build", hint=hint)
    for name in facts.engines:
        if name in BUILDERS:
            return name
    hint = "add im.nodes.Podman or im.nodes.Docker to the front-end in the template and deploy it again"
    raise InputError("the sub-cluster has no engine that builds images", where="image build", hint=hint)


def script(engine: str, reference: str, folder: str, arguments: Mapping[str, str]) -> str:
    """Return the shell script that builds and pushes, and leaves no copy of the files."""
    how, push, _ = BUILDERS[engine]
    words = [word for key, value in sorted(arguments.items()) for word in ("--build-arg", f"{key}={value}")]
    return (
        f"trap {shlex.quote('rm -rf ' + shlex.quote(folder))} EXIT\n"
        f"{shlex.join((*how, '--tag', reference, *words, folder))} && {shlex.join((*push, reference))}"
    )


def _base(cluster: Cluster, facts: ClusterFacts, engine: str, base: str, emit: Emit) -> str:
    """Return the name of the base for the builder; an archive is loaded first."""
    image: Image = recognise(base)
    if not image.archive:
        return image.reference.rpartition("://")[2]
    ensure(cluster, facts, ENGINES[engine], image, nodes=(), emit=emit)
    return f"{BUILDERS[engine][2]}{image.container}:latest"


def _perform(cluster: Cluster, text: str, name: str) -> None:
    """Run the builder with its output on our stderr: people wait for it."""
    line = [*command(cluster, cluster.front_end, user=cluster.user), "--", f"exec 1>&2\n{text}"]
    code = subprocess.run(line, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        raise JobError(f"the build ended with exit code {code}", where=f"image {name}", hint="its output is above")
