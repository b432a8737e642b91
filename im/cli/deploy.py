from __future__ import annotations

from pathlib import Path

import click

from im.cli.common import (
    json_option,
    manager,
    parse_import_map,
    print_json,
    template_argument,
    template_options,
)
from im.cli.show import exit_status, print_infrastructure


@click.command("deploy")
@template_argument
@click.option("--name", "-n", help="Name of the infrastructure.  [default: the template's file name]")
@click.option(
    "--cloud",
    "-c",
    default="local",
    show_default=True,
    help="Where to build it: a provider, or provider:account.",
)
@template_options
@click.option("--ttl", metavar="TIME", help="Lifetime such as 8h or 2d; `im_client gc` deletes it afterwards.")
@click.option(
    "--until",
    type=click.Choice(["provisioned", "ready"]),
    default="ready",
    show_default=True,
    help="How far to go: provisioned means servers that run and have their addresses, and no SSH to them.",
)
@json_option
def command(
    template: Path,
    name: str | None,
    cloud: str,
    inputs: tuple[str, ...],
    input_files: tuple[Path, ...],
    import_map: tuple[str, ...],
    ttl: str | None,
    until: str,
    as_json: bool,
) -> int:
    """Make the cloud match TEMPLATE: create, change, or continue what was interrupted.

    \b
    Example:
      im_client deploy tosca_templates/mpi_cluster.yaml --name lab --input workers=4
    """
    with manager(progress=True) as im:
        topology = im.validate(template, inputs, input_files, parse_import_map(import_map))
        for warning in topology.warnings:
            click.echo(str(warning), err=True)
        view = im.deploy(name or template.stem, cloud, topology, ttl=ttl, until=until)
    if as_json:
        print_json(view.as_dict())
    else:
        print_infrastructure(view)
        if view.state != "provisioned":
            print_next(view.name)
    return exit_status(view)


def print_next(name: str) -> None:
    """Tell what one can do with the sub-cluster now."""
    click.echo(f"""
log in   im_client ssh {name}
run      im_client mpi run {name} -n 2 --image IMAGE -- PROGRAM
delete   im_client delete {name}""")
