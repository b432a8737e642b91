from __future__ import annotations

from pathlib import Path

import click

from im.cli.common import manager, name_argument


@click.command("put")
@name_argument
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target")
@click.option("--node", "-N", help="Node to copy to.  [default: the front-end]")
@click.option("--user", "-u", help="Account on the node.  [default: the sub-cluster's user]")
def command(name: str, source: Path, target: str, node: str | None, user: str | None) -> None:
    """Copy the file or folder SOURCE to TARGET on a node of NAME.

    \b
    Example:
      im_client put lab ./input input
    """
    with manager() as im:
        im.put(name, node, source, target, user)
