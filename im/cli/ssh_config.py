from __future__ import annotations

import click

from im.cli.common import manager, name_argument


@click.command("ssh-config")
@name_argument
def command(name: str) -> None:
    """Print OpenSSH configuration for NAME, so that ssh, scp, rsync and editors reach every node.

    \b
    Example:
      im_client ssh-config lab > ~/.ssh/lab.conf && ssh -F ~/.ssh/lab.conf worker-1
    """
    with manager() as im:
        click.echo(im.ssh_config(name), nl=False)
