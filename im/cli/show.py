from __future__ import annotations

from typing import TYPE_CHECKING

import click

from im.cli.common import json_option, manager, name_argument, print_json, print_outputs, print_table

if TYPE_CHECKING:
    from im.api import View


@click.command("show")
@name_argument
@json_option
def command(name: str, as_json: bool) -> None:
    """Show the state, the nodes and the outputs of NAME as the cloud has them now.

    \b
    Example:
      im_client show lab --json
    """
    with manager() as im:
        view = im.show(name)
    print_view(view, as_json=as_json)


def print_view(view: View, *, as_json: bool) -> None:
    """Print an infrastructure as it was asked for."""
    if as_json:
        print_json(view.as_dict())
    else:
        print_infrastructure(view)


def exit_status(view: View) -> int:
    """Return 0 for an infrastructure that came to rest as it was wanted."""
    return 0 if view.state in {"ready", "provisioned"} else 1


def print_infrastructure(view: View) -> None:
    """Print an infrastructure for people."""
    click.echo(f"{view.name}: {view.state}{f' ({view.message})' if view.message else ''} on {view.cloud}\n")
    rows = [
        (n.name, n.group, n.state, n.public_address, n.private_address, n.cpus, n.slots, n.message) for n in view.nodes
    ]
    print_table(("NODE", "GROUP", "STATE", "PUBLIC", "PRIVATE", "CPUS", "SLOTS", "MESSAGE"), rows)
    if view.outputs:
        click.echo()
        print_outputs(view.outputs)
