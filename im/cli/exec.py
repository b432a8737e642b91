from __future__ import annotations

import click

from im.cli.common import manager, name_argument


@click.command("exec", context_settings={"ignore_unknown_options": True})
@name_argument
@click.option("--node", "-N", "nodes", multiple=True, help="Node to run on; repeat for more.  [default: the front-end]")
@click.option("--all", "everywhere", is_flag=True, help="Run on every node, one after the other.")
@click.option("--user", "-u", help="Account on the node.  [default: the sub-cluster's user]")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(name: str, nodes: tuple[str, ...], everywhere: bool, user: str | None, words: tuple[str, ...]) -> int:
    """Run COMMAND on nodes of NAME, with its output as it comes; exits with the command's own code.

    \b
    Example:
      im_client exec lab --all -- uname -r
    """
    with manager() as im:
        return im.execute(name, None if everywhere else nodes, words, user)
