from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from im.cli.common import (
    json_option,
    manager,
    parse_import_map,
    print_json,
    print_table,
    template_argument,
    template_options,
)


@click.command("plan")
@template_argument
@click.option("--name", "-n", help="Name of the infrastructure.  [default: the template's file name]")
@click.option("--cloud", "-c", default="local", show_default=True, help="Where it would be built.")
@template_options
@json_option
def command(
    template: Path,
    name: str | None,
    cloud: str,
    inputs: tuple[str, ...],
    input_files: tuple[Path, ...],
    import_map: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what `deploy` would do now, without doing it.

    \b
    Example:
      im_client plan tosca_templates/mpi_cluster.yaml --name lab --input workers=4
    """
    with manager() as im:
        topology = im.validate(template, inputs, input_files, parse_import_map(import_map))
        plan = im.plan(name or template.stem, cloud, topology)
    if as_json:
        changes = [asdict(action) for action in plan.changes]
        actions = [asdict(action) for action in plan.actions]
        print_json({"name": name or template.stem, "cloud": cloud, "changes": changes, "actions": actions})
        return
    if not plan.changes:
        click.echo("no change")
        return
    rows = [(a.kind, a.node, a.group, a.cpus or "", size(a.memory), a.image, a.reason) for a in plan.actions]
    print_table(("ACTION", "NODE", "GROUP", "CPUS", "MEMORY", "IMAGE", "WHY"), rows)
    click.echo(f"\n{len(plan.changes)} of {len(plan.actions)} nodes change")


def size(octets: int) -> str:
    """A memory size for people."""
    return f"{octets / 2**30:.3g} GiB" if octets else ""
