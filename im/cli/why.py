from __future__ import annotations

import click

from im.cli.common import json_option, manager, name_argument, print_json


@click.command("why")
@name_argument
@json_option
def command(name: str, as_json: bool) -> None:
    """Say in plain words what of NAME is not ready, and the evidence.

    \b
    Example:
      im_client why lab
    """
    with manager() as im:
        lines = im.why(name)
    if as_json:
        print_json(list(lines))
    else:
        click.echo("\n".join(lines))
