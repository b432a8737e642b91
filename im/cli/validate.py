from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from im.cli.common import (
    json_option,
    manager,
    parse_import_map,
    print_json,
    template_argument,
    template_options,
)

if TYPE_CHECKING:
    from im.topology.dialect import Dialect


@click.command("validate")
@template_argument
@template_options
@click.option(
    "--dialect",
    type=click.Choice(["auto", "tosca", "im"]),
    default="auto",
    help="im: as templates for IM are meant, and show what was understood; tosca: strictly; auto: by the types in use.",
)
@json_option
def command(
    template: Path,
    inputs: tuple[str, ...],
    input_files: tuple[Path, ...],
    import_map: tuple[str, ...],
    dialect: Dialect,
    as_json: bool,
) -> None:
    """Check TEMPLATE and say everything that is wrong with it at once; nothing is created.

    Exits 0, or 2 with one line per finding on stderr: FILE:LINE:COL: error CODE: what, why (hint).

    \b
    Example:
      im_client validate cluster.yaml --input workers=4
      im_client validate for_im.yaml --dialect im
    """
    from im.cli.outline import outline

    with manager() as im:
        topology = im.validate(template, inputs, input_files, parse_import_map(import_map), dialect=dialect)
    for warning in topology.warnings:
        click.echo(str(warning), err=True)
    groups = [{"name": group.name, "count": group.count, "front_end": group.front_end} for group in topology.groups]
    if as_json:
        print_json({"valid": True, "groups": groups, "software": [software.name for software in topology.software]})
        return
    nodes = ", ".join(f"{group.count} x {group.name}" for group in topology.groups)
    software = ", ".join(software.name for software in topology.software) or "no software"
    click.echo(f"{template}: valid; {nodes}; {software}")
    if dialect == "im":
        click.echo("\n".join(outline(topology)))
