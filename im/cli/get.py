from __future__ import annotations

from pathlib import Path

import click

from im.cli.common import manager, name_argument


@click.command("get")
@name_argument
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--node", "-N", help="Node to copy from.  [default: the front-end]")
@click.option("--user", "-u", help="Account on the node.  [default: the sub-cluster's user]")
def command(name: str, source: str, target: Path, node: str | None, user: str | None) -> None:
    """Copy the file or folder SOURCE on a node of NAME to TARGET here.

    \b
    Example:
      im_client get lab results ./results
    """
    with manager() as im:
        im.get(name, node, source, target, user)
