from __future__ import annotations

import click

from im.cli.common import json_option, manager, print_json, print_table


@click.command("list")
@json_option
def command(as_json: bool) -> None:
    """List this user's infrastructures.

    \b
    Example:
      im_client list --json
    """
    with manager() as im:
        views = im.infrastructures()
    if as_json:
        print_json(
            [{"name": v.name, "id": v.id, "cloud": v.cloud, "state": v.state, "nodes": len(v.nodes)} for v in views]
        )
    elif not views:
        click.echo("no infrastructures; make one with: im_client deploy TEMPLATE", err=True)
    else:
        rows = [(v.name, v.state, v.cloud, len(v.nodes), f"{v.updated:%Y-%m-%d %H:%M}", v.message) for v in views]
        print_table(("NAME", "STATE", "CLOUD", "NODES", "UPDATED (UTC)", "MESSAGE"), rows)
