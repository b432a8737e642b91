from __future__ import annotations

import click

from im.cli.common import manager, name_argument


@click.command("delete")
@name_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(name: str, yes: bool) -> None:
    """Delete NAME and everything that was made for it; what cannot be removed is listed with the reason.

    \b
    Example:
      im_client delete lab --yes
    """
    with manager(progress=True) as im:
        im.find(name)
        if not yes:
            click.confirm(f"Delete {name} and all data on its nodes?", abort=True, err=True)
        im.delete(name)
    click.echo(f"{name}: deleted")
