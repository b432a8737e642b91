"""What commands share: options, opening the manager, printing tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from im.api import LocalManager

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Shell completion: the infrastructures of this user."""
    with manager() as im:
        return [record.name for record in im.infrastructures() if record.name.startswith(incomplete)]


name_argument: Decorator = click.argument("name", shell_complete=complete_names)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
template_argument: Decorator = click.argument("template", type=click.Path(path_type=Path))


def template_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which a template's inputs and imports are given."""
    options = (
        click.option(
            "--input",
            "-i",
            "inputs",
            multiple=True,
            metavar="K=V",
            help="An input of the template; repeat for more.",
        ),
        click.option(
            "--inputs",
            "input_files",
            multiple=True,
            type=click.Path(path_type=Path),
            help="A YAML file with inputs.",
        ),
        click.option(
            "--import-map",
            multiple=True,
            metavar="PREFIX=DIR",
            help="Read imports that begin with PREFIX from DIR.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def parse_import_map(pairs: Sequence[str]) -> dict[str, Path]:
    """Turn ``PREFIX=DIR`` words into a mapping. Raises ``click.BadParameter``."""
    parsed = {}
    for pair in pairs:
        prefix, equals, folder = pair.rpartition("=")
        if not equals or not prefix:
            raise click.BadParameter(f"{pair!r} is not PREFIX=DIR", param_hint="--import-map")
        if not Path(folder).is_dir():
            raise click.BadParameter(f"{folder!r} is not a folder", param_hint="--import-map")
        parsed[prefix] = Path(folder)
    return parsed


@contextmanager
def manager(*, progress: bool = False) -> Iterator[LocalManager]:
    """Open this user's infrastructures; with ``progress``, what happens is shown on stderr."""
    from im.api import LocalManager
    from im.config import load_settings

    if not progress:
        with LocalManager(load_settings()) as im:
            yield im
        return
    from im.cli.render import shown_events

    with shown_events() as emit, LocalManager(load_settings(), emit=emit) as im:
        yield im


def print_json(value: object) -> None:
    """Print a value as indented JSON on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns on stdout; an empty cell is a dash."""
    texts = [[str(cell) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headers), *texts]) for i in range(len(headers))]
    for line in [list(headers), *texts]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_outputs(outputs: Mapping[str, object]) -> None:
    """Print a template's outputs, one a line, names aligned."""
    width = max((len(name) for name in outputs), default=0)
    for name, value in outputs.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        click.echo(f"{name.ljust(width)}  {text}")
