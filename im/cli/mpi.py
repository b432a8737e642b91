from __future__ import annotations

from pathlib import Path

import click

from im.cli.common import manager, name_argument


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
    "--files",
    type=click.Path(exists=True, path_type=Path),
    help="File or folder that becomes the working directory's content.",
)
@click.option(
    "--env",
    "-e",
    "variables",
    multiple=True,
    metavar="K=V",
    help="Environment variable of the ranks; repeat for more.",
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- PROGRAM...")
def run(
    name: str,
    ranks: int,
    image: str,
    engine: str,
    files: Path | None,
    variables: tuple[str, ...],
    words: tuple[str, ...],
) -> int:
    """Run PROGRAM as an MPI job on NAME; its output comes as it is written, its exit code is ours.

    \b
    Example:
      im_client mpi run lab -n 4 --image mpi.tar --files ./run -- ./simulate input.nml
    """
    environment = dict(parse_variable(text) for text in variables)
    with manager(progress=True) as im:
        return im.mpi_run(
            name, ranks=ranks, image=image, engine=engine, files=files, environment=environment, words=words
        )


def parse_variable(text: str) -> tuple[str, str]:
    """Read ``K=V``. Raises ``click.BadParameter``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not K=V", param_hint="--env")
    return key, value
