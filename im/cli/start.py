from __future__ import annotations

import click

from im.cli.common import json_option, manager, name_argument
from im.cli.show import print_view


@click.command("start")
@name_argument
@click.argument("node", required=False)
@json_option
def command(name: str, node: str | None, as_json: bool) -> None:
    """Start the stopped nodes of NAME, or one, and wait until they are ready.

    \b
    Example:
      im_client start lab
    """
    with manager(progress=True) as im:
        view = im.start(name, node)
    print_view(view, as_json=as_json)
