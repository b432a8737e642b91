from __future__ import annotations

import json
from dataclasses import asdict

import click

from im.cli.common import manager, name_argument


@click.command("events")
@name_argument
@click.option("--follow", "-f", is_flag=True, help="Go on printing events as they happen, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(name: str, follow: bool, as_json: bool) -> None:
    """Print what happened to NAME, oldest first.

    \b
    Example:
      im_client events lab --follow
    """
    from im.cli.render import line

    with manager() as im:
        for event in im.events(name, follow=follow):
            click.echo(json.dumps(asdict(event), default=str) if as_json else line(event))
