from __future__ import annotations

from dataclasses import asdict

import click

from im.cli.common import json_option, manager, print_json, print_table


@click.group("providers", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the clouds that `im` can use, or check whether one is usable.

    \b
    Example:
      im_client providers check --cloud local
    """
    if ctx.invoked_subcommand is None:
        from im.providers.registry import names

        if as_json:
            print_json(names())
        else:
            click.echo("\n".join(names()))


@command.command("check")
@click.option("--cloud", "-c", default="local", show_default=True, help="The cloud to look at.")
@json_option
def check(cloud: str, as_json: bool) -> int:
    """Say line by line whether CLOUD is usable, and what to do where it is not.

    \b
    Example:
      im_client providers check --cloud local --json
    """
    with manager() as im:
        checks = im.check(cloud)
    if as_json:
        print_json([asdict(line) for line in checks])
    else:
        print_table(("CHECK", "STATUS", "WHAT", "NEXT"), [(c.name, c.status, c.message, c.hint) for c in checks])
    return int(any(line.status == "failed" for line in checks))
