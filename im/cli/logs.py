from __future__ import annotations

import click

from im.cli.common import manager, name_argument


@click.command("logs")
@name_argument
@click.argument("node", required=False)
def command(name: str, node: str | None) -> None:
    """Print the last contextualization log of NAME, or the console log of one NODE.

    \b
    Example:
      im_client logs lab
      im_client logs lab worker-1
    """
    with manager() as im:
        click.echo(im.logs(name, node), nl=False)
