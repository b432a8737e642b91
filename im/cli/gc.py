from __future__ import annotations

import click

from im.cli.common import json_option, manager, print_json


@click.command("gc")
@click.option("--orphans", is_flag=True, help="Also delete what carries our mark but is unknown to this store.")
@click.option("--cloud", "-c", default="local", show_default=True, help="Where to look.")
@json_option
def command(orphans: bool, cloud: str, as_json: bool) -> None:
    """Delete what has outlived its `--ttl`, and list what this store does not know.

    In a project that is shared, such an orphan may be a colleague's.

    \b
    Example:
      im_client gc --orphans
    """
    with manager(progress=True) as im:
        result = im.gc(cloud, orphans=orphans)
    if as_json:
        print_json({"deleted": list(result.deleted), "orphans": list(result.orphans)})
        return
    for name in result.deleted:
        click.echo(f"deleted  {name}")
    for identity in result.orphans:
        click.echo(f"orphan   {identity}  (remove it with: im_client gc --orphans --cloud {cloud})")
    if not result.deleted and not result.orphans:
        click.echo("nothing to collect")
