from __future__ import annotations

from pathlib import Path

import click

from im.cli.common import json_option, manager, name_argument, print_json, print_outputs, print_table
from im.cli.mpi import parse_variable

engine_option = click.option("--engine", default="", help="Container engine.  [default: the sub-cluster's first]")


@click.group("image")
def command() -> None:
    """Look after the container images of a sub-cluster."""


@command.command("list")
@name_argument
@json_option
def list_images(name: str, as_json: bool) -> None:
    """List the images that NAME has ready.

    \b
    Example:
      im_client image list lab
    """
    with manager() as im:
        found = im.images(name)
    if as_json:
        print_json([image.as_dict() for image in found])
        return
    rows = [
        (image.reference, image.engine, image.container, image.mpi_text, ", ".join(image.nodes) or "all")
        for image in found
    ]
    print_table(("IMAGE", "ENGINE", "CONTAINER", "MPI", "NODES"), rows)


@command.command("pull")
@name_argument
@click.argument("image")
@engine_option
def pull(name: str, image: str, engine: str) -> None:
    """Make IMAGE, a registry's name or an archive file, ready on all nodes of NAME before a job needs it.

    \b
    Accounts at registries are those of `docker login` or `podman login` on this machine.

    Example:
      im_client image pull lab ghcr.io/lab/mpi:1
    """
    with manager(progress=True) as im:
        container = im.pull_image(name, image, engine)
    click.echo(container)


@command.command("build")
@name_argument
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--tag", "-t", help="Name of the image.  [default: the folder's]")
@click.option("--base", default="", help="Image or archive for the Dockerfile's ARG BASE.")
@click.option("--build-arg", "arguments", multiple=True, metavar="K=V", help="Value for an ARG; repeat for more.")
@click.option("--watch", is_flag=True, help="Build again whenever a file changes, until interrupted.")
def build(name: str, folder: Path, tag: str | None, base: str, arguments: tuple[str, ...], watch: bool) -> None:
    """Build FOLDER/Dockerfile on NAME's front-end, keep the image in its own registry, and print the name.

    \b
    Example:
      im_client image build lab images/mpi --base debian.tar
    """
    pairs = dict(parse_variable(text) for text in arguments)
    with manager(progress=True) as im:
        for reference in im.build_image(name, folder, tag or folder.resolve().name, pairs, base, watch=watch):
            click.echo(reference)


@command.command("rm")
@name_argument
@click.argument("image")
@click.option("--engine", default="", help="Only this engine's.")
def remove(name: str, image: str, engine: str) -> None:
    """Remove IMAGE from all nodes of NAME: by its name, its file's name, or its container.

    \b
    Example:
      im_client image rm lab mpi.tar
    """
    with manager(progress=True) as im:
        for gone in im.remove_image(name, image, engine):
            click.echo(f"{gone.container} {gone.engine}")


@command.command("inspect")
@name_argument
@click.argument("image")
@json_option
def inspect(name: str, image: str, as_json: bool) -> None:
    """Show what is known of IMAGE on NAME: where it is, and which MPI library it has.

    \b
    Example:
      im_client image inspect lab mpi.tar --json
    """
    from im.jobs.stock import one

    with manager() as im:
        found = one(im.images(name), image)
    if as_json:
        print_json([each.as_dict() for each in found])
        return
    for each in found:
        known = {key: value for key, value in each.as_dict().items() if key not in {"mpi", "nodes"}}
        print_outputs({**known, "nodes": list(each.nodes) or "all", "mpi": each.mpi_text, **each.mpi_details})
