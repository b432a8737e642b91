from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

import click

from im.cli.common import manager, name_argument
from im.cli.mpi import parse_mount

if TYPE_CHECKING:
    from im.jobs.shell import ShellOptions


@click.command("shell", context_settings={"ignore_unknown_options": True})
@name_argument
@click.option(
    "--image",
    required=True,
    help="Container image: a registry name, or an archive file (docker save, OCI, rootfs tar).",
)
@click.option("--node", "-N", help="Node to be on.  [default: the front-end]")
@click.option("--engine", default="", help="Container engine.  [default: the sub-cluster's first]")
@click.option(
    "--mount",
    "-v",
    "mounts",
    multiple=True,
    metavar="SOURCE:TARGET[:ro]",
    callback=lambda _context, _option, texts: tuple(map(parse_mount, texts)),
    help="File or folder of the node that is seen as TARGET; repeat for more.",
)
@click.option("--workdir", "-w", "folder", default="", help="Where to start.  [default: the home]")
@click.option("--user", "-u", default="", help="User in the container.  [default: the sub-cluster's]")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def command(
    name: str, *, image: str, node: str | None, words: tuple[str, ...], **options: Unpack[ShellOptions]
) -> None:
    """Open a shell in a container on NAME, or run COMMAND there; the home and its files are the sub-cluster's.

    \b
    Example:
      im_client shell lab --image mpi.tar
      im_client shell lab --image mpi.tar --node worker-1 -- mpirun --version
    """
    with manager(progress=True) as im:
        argv = im.shell_command(name, node, image, words, **options)
    os.execvp(argv[0], argv)  # noqa: S606 - the person's terminal belongs to ssh from here on
