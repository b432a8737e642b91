from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from im.cli.common import json_option, manager, name_argument, print_json, print_table
from im.cli.mpi import parse_variable

sweep_argument = click.argument("sweep")


@click.group("sweep")
def command() -> None:
    """Parameter scans: one program at thousands of points, in containers."""


@command.command("run", context_settings={"ignore_unknown_options": True})
@name_argument
@click.option("--image", required=True, help="Container image: a registry name, or an archive file.")
@click.option(
    "--params",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The points: a table (.csv) or a grid (.yaml).",
)
@click.option("--engine", default="", help="Container engine.  [default: the sub-cluster's first]")
@click.option(
    "--files", type=click.Path(exists=True, path_type=Path), help="File or folder that every point finds in its own."
)
@click.option(
    "--env", "-e", "variables", multiple=True, metavar="K=V", help="Variable of the program; repeat for more."
)
@click.option("--check", default="", help="A shell command in the point's folder that must succeed as well.")
@click.option("--retries", type=click.IntRange(min=0), default=0, help="How often a failed point is tried again.")
@click.option("--at-most", type=click.IntRange(min=1), help="Points at a time.  [default: one for each slot]")
@click.option(
    "--memory",
    "-m",
    default="",
    callback=lambda _context, _option, text: parse_memory(text),
    help="Memory of a worker under Slurm, such as 500M.",
)
@click.option("--detach", "-d", is_flag=True, help="Do not wait for the end.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- PROGRAM...")
def run(
    name: str,
    image: str,
    params: Path,
    engine: str,
    files: Path | None,
    variables: tuple[str, ...],
    check: str,
    retries: int,
    at_most: int | None,
    memory: str,
    detach: bool,
    words: tuple[str, ...],
) -> int:
    """Run PROGRAM once for each point on NAME; {PARAMETER} in its words is the point's value.

    \b
    Example:
      im_client sweep run lab --image tools.tar --params points.csv --files run.sh -- ./run.sh {m0} {m12}
    """
    from im.jobs.sweep.request import Sweep

    wanted = Sweep(
        image=image,
        words=words,
        check=("/bin/sh", "-c", check) if check else (),
        engine=engine,
        files=files,
        env=dict(parse_variable(text) for text in variables),
        retries=retries,
        at_most=at_most or 0,
        memory=memory,
    )
    with manager(progress=True) as im:
        click.echo(im.sweep_start(name, wanted, params))
        return 0 if detach else _follow(name, wanted.identifier)


def parse_memory(text: str) -> str:
    """Read a size as Slurm takes it. Raises ``click.BadParameter``."""
    if text and not re.fullmatch(r"0*[1-9]\d*[kKmMgGtT]?", text):
        raise click.BadParameter(f"{text!r} is no size: 500M or 2G", param_hint="--memory")
    return text


def _follow(name: str, sweep: str) -> int:
    """Show the progress. Ctrl-C leaves the scan as it is."""
    with manager(progress=True) as im:
        try:
            return 0 if im.sweep_follow(name, sweep) else 1
        except KeyboardInterrupt:
            click.echo(f"the scan goes on: im_client sweep status {name} {sweep}", err=True)
            return 130


@command.command("resume")
@name_argument
@sweep_argument
@click.option("--failed", is_flag=True, help="Run the points that failed, and only those.")
@click.option("--detach", "-d", is_flag=True, help="Do not wait for the end.")
def resume(name: str, sweep: str, failed: bool, detach: bool) -> int:
    """Run the points of a scan that were never run or were lost with their node.

    \b
    Example:
      im_client sweep resume lab 5f0c2a91 --failed
    """
    with manager(progress=True) as im:
        im.sweep_resume(name, sweep, failed=failed)
    return 0 if detach else _follow(name, sweep)


@command.command("status")
@name_argument
@click.argument("sweep", required=False)
@json_option
def status(name: str, sweep: str | None, as_json: bool) -> None:
    """Show how the scans of NAME stand, or one of them.

    \b
    Example:
      im_client sweep status lab
    """
    with manager() as im:
        found = im.sweep_status(name, sweep)
    if as_json:
        print_json(found)
        return
    columns = ("id", "state", "points", "done", "failed", "running", "lost", "queued", "left", "trouble")
    print_table([column.upper() for column in columns], [[row.get(column) for column in columns] for row in found])


@command.command("logs")
@name_argument
@sweep_argument
@click.argument("point", type=click.IntRange(min=0))
def logs(name: str, sweep: str, point: int) -> None:
    """Show what a point wrote.

    \b
    Example:
      im_client sweep logs lab 5f0c2a91 17
    """
    with manager() as im:
        out, errors = im.sweep_output(name, sweep, point)
    sys.stdout.buffer.write(out)
    sys.stderr.buffer.write(errors)


@command.command("collect")
@name_argument
@sweep_argument
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
def collect(name: str, sweep: str, target: Path) -> None:
    """Copy a table of all points and the points' folders to TARGET.

    \b
    Example:
      im_client sweep collect lab 5f0c2a91 ./results
    """
    with manager() as im:
        im.sweep_collect(name, sweep, target)


@command.command("cancel")
@name_argument
@sweep_argument
def cancel(name: str, sweep: str) -> None:
    """End a scan; what is done stays, and `sweep resume` goes on with the rest.

    \b
    Example:
      im_client sweep cancel lab 5f0c2a91
    """
    with manager() as im:
        im.sweep_cancel(name, sweep)
