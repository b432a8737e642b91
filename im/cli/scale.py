from __future__ import annotations

import click

from im.cli.common import json_option, manager, name_argument
from im.cli.show import exit_status, print_view


@click.command("scale")
@name_argument
@click.argument("counts", nargs=-1, required=True, metavar="GROUP=N...")
@json_option
def command(name: str, counts: tuple[str, ...], as_json: bool) -> int:
    """Grow or shrink groups of nodes; it stays so until the next `deploy` of the template.

    \b
    Example:
      im_client scale lab worker=4
    """
    wanted = dict(parse_count(text) for text in counts)
    with manager(progress=True) as im:
        view = im.scale(name, wanted)
    print_view(view, as_json=as_json)
    return exit_status(view)


def parse_count(text: str) -> tuple[str, int]:
    """Read ``GROUP=N``. Raises ``click.BadParameter``."""
    group, _, number = text.partition("=")
    if not group or not number.isdigit():
        raise click.BadParameter(f"{text!r} is not GROUP=N with N a whole number", param_hint="GROUP=N")
    return group, int(number)
