from __future__ import annotations

import click

from im.cli.common import json_option, manager, name_argument
from im.cli.show import print_view


@click.command("restart")
@name_argument
@click.argument("node", required=False)
@json_option
def command(name: str, node: str | None, as_json: bool) -> None:
    """Stop all nodes of NAME, or one, and start them again.

    \b
    Example:
      im_client restart lab worker-1
    """
    with manager(progress=True) as im:
        view = im.restart(name, node)
    print_view(view, as_json=as_json)
