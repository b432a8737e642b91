from __future__ import annotations

import click

from im.cli.common import manager, name_argument


@click.command("inventory")
@name_argument
def command(name: str) -> None:
    """Print NAME as an Ansible inventory (JSON), for playbooks of your own.

    \b
    Example:
      im_client inventory lab > hosts.json && ansible -i hosts.json all -m ping
    """
    with manager() as im:
        click.echo(im.inventory(name))
