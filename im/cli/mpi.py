from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from im.cli.common import manager, name_argument

if TYPE_CHECKING:
    from im.jobs.engines import Mount
    from im.jobs.launch import MpiOptions


@click.group("mpi")
def command() -> None:
    """Run MPI programs on a sub-cluster, every rank in a container."""


@command.command("run", context_settings={"ignore_unknown_options": True})
@name_argument
@click.option("-n", "--ranks", type=click.IntRange(min=1), required=True, help="How many ranks.")
@click.option(
    "--image",
    required=True,
    help="Container image: a registry name, or an archive file (docker save, OCI, rootfs tar).",
)
@click.option("--engine", default="", help="Container engine.  [default: the sub-cluster's first]")
@click.option(
    "--mode",
    type=click.Choice(["auto", "hybrid", "inside"]),
    default="auto",
    help="Whose launcher starts the ranks: the nodes' (hybrid), the image's (inside), or by what both have.",
)
@click.option(
    "--files",
    type=click.Path(exists=True, path_type=Path),
    help="File or folder that becomes the working directory's content.",
)
@click.option(
    "--env",
    "-e",
    multiple=True,
    callback=lambda _context, _option, texts: dict(map(parse_variable, texts)),
    metavar="K=V",
    help="Environment variable of the ranks; repeat for more.",
)
@click.option(
    "--mount",
    "-v",
    "mounts",
    multiple=True,
    callback=lambda _context, _option, texts: tuple(map(parse_mount, texts)),
    metavar="SOURCE:TARGET[:ro]",
    help="File or folder of the nodes that ranks see as TARGET; repeat for more.",
)
@click.option("--workdir", "-w", "folder", default="", help="Where ranks start.  [default: the job's folder]")
@click.option("--user", "-u", default="", help="User of the ranks in the container.  [default: the sub-cluster's]")
@click.option(
    "--time",
    "limit",
    default="0",
    metavar="TIME",
    callback=lambda _context, _option, text: parse_time(text),
    help="End the job after TIME: 90, 90s, 30m, 2h.",
)
@click.option("--tags", is_flag=True, help="Begin each line of output with its rank.")
@click.option("--dry-run", is_flag=True, help="Print the commands, change nothing.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- PROGRAM...")
def run(
    name: str, *, ranks: int, image: str, words: tuple[str, ...], dry_run: bool, **options: Unpack[MpiOptions]
) -> int:
    """Run PROGRAM as an MPI job on NAME; its output comes as it is written, its exit code is ours.

    \b
    Example:
      im_client mpi run lab -n 4 --image mpi.tar --files ./run -- ./simulate input.nml
    """
    with manager(progress=True) as im:
        if not dry_run:
            return im.mpi_run(name, ranks=ranks, image=image, words=words, **options)
        click.echo("\n".join(im.mpi_commands(name, ranks=ranks, image=image, words=words, **options)))
        return 0


def parse_variable(text: str) -> tuple[str, str]:
    """Read ``K=V``. Raises ``click.BadParameter``."""
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII):
        raise click.BadParameter(f"{text!r} is not K=V with a variable's name", param_hint="--env")
    return key, value


def parse_mount(text: str) -> Mount:
    """Read ``SOURCE:TARGET[:ro]``. Raises ``click.BadParameter``."""
    from im.jobs.engines import Mount

    if not (found := re.fullmatch(r"(/[^:]*):(/[^:]*)(:ro)?", text)):
        raise click.BadParameter(f"{text!r} is not SOURCE:TARGET with two absolute paths", param_hint="--mount")
    return Mount(found[1], found[2], read_only=bool(found[3]))


def parse_time(text: str) -> float:
    """Read seconds, or a number with s, m or h. Raises ``click.BadParameter``."""
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)):
        raise click.BadParameter(f"{text!r} is not a time: 90, 90s, 30m or 2h", param_hint="--time")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
