from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from im.cli.common import json_option, manager, name_argument
from im.cli.mpi import parse_variable

container_argument: Callable[..., Any] = click.argument("container")
containers_argument: Callable[..., Any] = click.argument("containers", nargs=-1, required=True)


@click.group("batch")
def command() -> None:
    """Containers under the batch system, with Docker's words. `im-batch` on the front-end knows the same."""


class NameFirst(click.Command):
    """NAME, then options up to IMAGE; what follows IMAGE is the command's, options too, as in Docker."""

    def __init__(self, *words: Any, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*words, **options)
        self.context_settings = {"allow_interspersed_args": False}
        self.options_metavar = "NAME [OPTIONS]"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take NAME off before the options."""
        if args and not args[0].startswith("-"):
            ctx.params["name"] = args.pop(0)
        rest = super().parse_args(ctx, args)
        if "name" not in ctx.params:
            raise click.UsageError("Missing argument 'NAME': it comes first.", ctx)
        return rest


def container_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how a container runs."""
    options = (
        click.option(
            "--engine",
            type=click.Choice(["udocker", "podman", "docker"]),
            default="udocker",
            show_default=True,
            help="Container engine of the nodes.",
        ),
        click.option("--name", "title", default="", help="Name of the container."),
        click.option("--env", "-e", "variables", multiple=True, metavar="K=V", help="Variable; repeat for more."),
        click.option(
            "--volume",
            "-v",
            "mounts",
            multiple=True,
            metavar="SOURCE:TARGET[:ro]",
            help="A folder of the nodes that the container sees; repeat for more.",
        ),
        click.option("--workdir", "-w", default="", help="Where the program starts.  [default: as the image says]"),
        click.option("--entrypoint", help="Instead of the image's."),
        click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="Processors."),
        click.option("--memory", "-m", default="", help="Memory such as 512m or 2g: more is not to be had."),
        click.option("--time", default="", help="Limit: minutes, or days-hours:minutes:seconds."),
        click.argument("image"),
        click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]..."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def wanted(
    engine: str,
    title: str,
    variables: tuple[str, ...],
    mounts: tuple[str, ...],
    workdir: str,
    entrypoint: str | None,
    cpus: int,
    memory: str,
    time: str,
    image: str,
    words: tuple[str, ...],
) -> Any:  # noqa: ANN401 - the type would cost an import at every --help
    """Return the container that the options ask for."""
    from im.jobs.batch.request import Container

    return Container(
        image=image,
        command=words,
        engine=engine,
        name=title,
        entrypoint=entrypoint,
        directory=workdir,
        variables=dict(parse_variable(text) for text in variables),
        mounts=mounts,
        cpus=cpus,
        memory=memory,
        time=time,
    )


@command.command("run", cls=NameFirst)
@click.option("--detach", "-d", is_flag=True, help="Only print the container's id.")
@click.option("--rm", "forget", is_flag=True, help="Forget the container when it has ended.")
@container_options
def run(name: str, detach: bool, forget: bool, **options: Any) -> int:  # noqa: ANN401 - passed on as they are
    """Run COMMAND in a container of IMAGE on NAME and wait for its end; its exit code is ours.

    \b
    Example:
      im_client batch run lab -m 2g -v /home/hpc/run:/run ghcr.io/lab/tools:1 simulate /run/input.nml
    """
    with manager(progress=True) as im:
        if detach:
            click.echo(im.batch_submit(name, wanted(**options)))
            return 0
        return im.batch_run(name, wanted(**options), forget=forget)


@command.command("submit", cls=NameFirst)
@container_options
def submit(name: str, **options: Any) -> None:  # noqa: ANN401 - passed on as they are
    """Hand a container to the batch system of NAME and print its id.

    \b
    Example:
      im_client batch submit lab --cpus 2 --time 60 tools.tar make -j2
    """
    with manager(progress=True) as im:
        click.echo(im.batch_submit(name, wanted(**options)))


@command.command("ps")
@name_argument
@click.option("--all", "-a", "everything", is_flag=True, help="Those that have ended as well.")
@json_option
def ps(name: str, everything: bool, as_json: bool) -> int:
    """List your containers on NAME.

    \b
    Example:
      im_client batch ps lab --all
    """
    return passed(name, "ps", *(["--all"] if everything else []), *(["--json"] if as_json else []))


@command.command("logs")
@name_argument
@container_argument
@click.option("--follow", "-f", is_flag=True, help="Go on until the container ends.")
def logs(name: str, container: str, follow: bool) -> int:
    """Show what a container wrote.

    \b
    Example:
      im_client batch logs lab 3f9c -f
    """
    return passed(name, "logs", *(["--follow"] if follow else []), container)


@command.command("stop")
@name_argument
@containers_argument
@click.option("--time", "-t", "seconds", type=float, default=10, show_default=True, help="Seconds before force.")
def stop(name: str, containers: tuple[str, ...], seconds: float) -> int:
    """End containers: politely, then by force.

    \b
    Example:
      im_client batch stop lab 3f9c
    """
    return passed(name, "stop", f"--time={seconds}", *containers)


@command.command("rm")
@name_argument
@containers_argument
@click.option("--force", "-f", is_flag=True, help="End them first.")
def rm(name: str, containers: tuple[str, ...], force: bool) -> int:
    """Forget containers that have ended, with their output.

    \b
    Example:
      im_client batch rm lab 3f9c
    """
    return passed(name, "rm", *(["--force"] if force else []), *containers)


@command.command("info")
@name_argument
@json_option
def info(name: str, as_json: bool) -> int:
    """Show what NAME has to run on.

    \b
    Example:
      im_client batch info lab
    """
    return passed(name, "info", *(["--json"] if as_json else []))


@command.command("acct")
@name_argument
@click.argument("containers", nargs=-1)
@json_option
def acct(name: str, containers: tuple[str, ...], as_json: bool) -> int:
    """Show what your jobs used: processor seconds, memory, bytes read and written, and how they ended.

    \b
    Example:
      im_client batch acct lab
    """
    return passed(name, "acct", *(["--json"] if as_json else []), *containers)


def passed(name: str, *words: str) -> int:
    """Pass a verb on to the front-end."""
    with manager() as im:
        return im.batch(name, words)
