from __future__ import annotations

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
from im.cli.template_new import new
from im.cli.template_types import types

IMPORT_MAP = click.option(
    "--import-map", multiple=True, metavar="PREFIX=DIR", help="Read imports that begin with PREFIX from DIR."
)


@click.group("template")
def command() -> None:
    """Make templates, look at them, compare and tidy them; no cloud is touched."""


command.add_command(new)


@command.command("show")
@template_argument
@template_options
@click.option("--svg", type=click.Path(path_type=Path), help="Write the picture to this file instead.")
def show(
    template: Path,
    inputs: tuple[str, ...],
    input_files: tuple[Path, ...],
    import_map: tuple[str, ...],
    svg: Path | None,
) -> None:
    """Draw the machines of TEMPLATE and what joins them, and say what runs on each.

    \b
    Example:
      im_client template show cluster.yaml
      im_client template show cluster.yaml --svg cluster.svg
    """
    from shutil import get_terminal_size

    from im.cli.outline import outline
    from im.cli.picture import as_svg, as_text, picture

    with manager() as im:
        topology = im.validate(template, inputs, input_files, parse_import_map(import_map))
    if svg is not None:
        svg.write_text(as_svg(picture(topology)), encoding="utf-8")
        return
    click.echo("\n".join(as_text(picture(topology), get_terminal_size((100, 24)).columns)))
    click.echo("\n" + "\n".join(outline(topology)))


@command.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@template_options
def diff(
    before: Path,
    after: Path,
    inputs: tuple[str, ...],
    input_files: tuple[Path, ...],
    import_map: tuple[str, ...],
) -> int:
    """Say what AFTER asks for otherwise than BEFORE: their meaning, not their text. Inputs are given to both.

    Exits 0 where both mean the same, 1 where they differ.

    \b
    Example:
      im_client template diff old.yaml new.yaml --input workers=4
    """
    from im.topology.compare import compare

    with manager() as im:
        topologies = [im.validate(one, inputs, input_files, parse_import_map(import_map)) for one in (before, after)]
    differences = compare(*topologies)
    for one in differences:
        click.echo(str(one))
    return 1 if differences else 0


@command.command("fmt")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing; exit 1 where a file is not in the style.")
def fmt(files: tuple[Path, ...], check: bool) -> int:
    """Bring FILES into one style: two columns a level, sections in the usual order. Comments and meaning stay.

    \b
    Example:
      im_client template fmt cluster.yaml
    """
    from im.topology.formatting import formatted

    changed = 0
    for path in files:
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
        _refuse_other_text(text, path)
        new_text = formatted(text)
        if new_text == text:
            continue
        changed += 1
        click.echo(str(path))
        if not check:
            path.write_bytes(new_text.encode("utf-8", errors="surrogateescape"))
    return 1 if check and changed else 0


def _refuse_other_text(text: str, path: Path) -> None:
    """Raise ``TemplateError`` for what is no YAML at all: it has no style that could be mended."""
    from im.errors import TemplateError
    from im.topology.reader import parse

    _, found = parse(text, str(path))
    broken = tuple(finding for finding in found if finding.code == "yaml")
    if broken:
        raise TemplateError(broken)


command.add_command(types)


@command.command("inputs")
@template_argument
@IMPORT_MAP
@click.option("--schema", is_flag=True, help="Print a JSON Schema of the inputs instead.")
@json_option
def inputs_of(template: Path, import_map: tuple[str, ...], schema: bool, as_json: bool) -> None:
    """List what TEMPLATE asks for: names, types, defaults and conditions.

    \b
    Example:
      im_client template inputs cluster.yaml
      im_client template inputs cluster.yaml --schema
    """
    from im.sources.load import read_types
    from im.topology.json_schema import schema_of_inputs

    with manager() as im:
        root, known = read_types(template, im.reading(parse_import_map(import_map)))
    found = schema_of_inputs(root, known)
    if schema or as_json:
        print_json(found)
        return
    from im.cli.template_types import property_rows
    from im.topology.document import as_map

    section = as_map(as_map(root.get("topology_template")).get("inputs"))
    print_table(("INPUT", "TYPE", "DEFAULT", "CONDITIONS", "DESCRIPTION"), list(property_rows(section, known)))
