from __future__ import annotations

import click

from im.cli.common import json_option, manager, name_argument, print_json


@click.command("delete")
@name_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def command(name: str, yes: bool, as_json: bool) -> None:
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
    if as_json:
        print_json({"name": name, "state": "deleted"})
    else:
        click.echo(f"{name}: deleted")
