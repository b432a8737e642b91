from __future__ import annotations

import os

import click

from im.cli.common import manager, name_argument


@click.command("ssh")
@name_argument
@click.argument("node", required=False)
@click.option("--user", "-u", help="Account on the node.  [default: the sub-cluster's user]")
def command(name: str, node: str | None, user: str | None) -> None:
    """Log in to NAME: its front-end, or NODE (through the front-end where it has no public address).

    \b
    Example:
      im_client ssh lab
      im_client ssh lab worker-1 --user root
    """
    with manager() as im:
        words = im.login_command(name, node, user)
    os.execvp(words[0], words)  # noqa: S606 - the person's terminal belongs to ssh from here on
