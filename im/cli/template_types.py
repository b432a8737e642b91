from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import click

from im.cli.common import json_option, manager, parse_import_map, print_json, print_table

if TYPE_CHECKING:
    from im.topology.document import Map
    from im.topology.schema import Constraint, Property, Schema
    from im.topology.types import TypeDefinition, Types

Row = tuple[str, str, str, str, str]


@click.command("types")
@click.argument("name", required=False)
@click.option("--template", type=click.Path(path_type=Path), help="The types that this template may use.")
@click.option("--all", "everything", is_flag=True, help="TOSCA's own, too.")
@click.option("--import-map", multiple=True, metavar="PREFIX=DIR", help="Read imports that begin with PREFIX from DIR.")
@json_option
def types(
    name: str | None, template: Path | None, everything: bool, import_map: tuple[str, ...], as_json: bool
) -> None:
    """List node types, or say what the type NAME takes: properties, capabilities and requirements.

    \b
    Example:
      im_client template types
      im_client template types im.nodes.WorkingNode
    """
    from im.errors import InputError
    from im.sources.load import read_types

    with manager() as im:
        _, known = read_types(template, im.reading(parse_import_map(import_map)))
    if name is None:
        _list(known, as_json=as_json, everything=everything)
        return
    found = known.find("node", name)
    if found is None:
        raise InputError(f"there is no node type {name!r}", hint=known.suggestion("node", name))
    _show(found, known, as_json=as_json)


def _list(known: Types, *, as_json: bool, everything: bool) -> None:
    found = sorted(known.all("node", normative=everything), key=lambda one: one.name)
    rows = [(one.name, str(one.body.get("derived_from") or ""), _words(one.body.get("description"))) for one in found]
    if as_json:
        print_json([dict(zip(("name", "derived_from", "description"), row, strict=True)) for row in rows])
        return
    print_table(
        ("TYPE", "DERIVED FROM", "DESCRIPTION"), [(*row[:2], shorten(row[2], 80, placeholder=" …")) for row in rows]
    )


def _show(found: TypeDefinition, known: Types, *, as_json: bool) -> None:
    from im.topology.document import as_map

    sections = {section: known.merged("node", found.name, section) for section in _SECTIONS}
    properties = list(property_rows(sections["properties"], known))
    ends = {section: _ends(sections[section]) for section in ("capabilities", "requirements")}
    if as_json:
        names = ("name", "type", "default", "conditions", "description")
        print_json(
            {"name": found.name, "properties": [dict(zip(names, row, strict=True)) for row in properties], **ends}
        )
        return
    ancestors = " < ".join(one.name for one in known.chain("node", found.name)[1:])
    click.echo(f"{found.name}" + (f" < {ancestors}" if ancestors else ""))
    click.echo(_words(found.body.get("description")))
    click.echo()
    print_table(("PROPERTY", "TYPE", "DEFAULT", "CONDITIONS", "DESCRIPTION"), properties)
    for section, words in ends.items():
        if words:
            click.echo(f"\n{section}: {', '.join(f'{key} ({value})' for key, value in words.items())}")
    attributes = as_map(sections["attributes"])
    if attributes:
        click.echo(f"\nattributes: {', '.join(map(str, attributes))}")


_SECTIONS = ("properties", "capabilities", "requirements", "attributes")


def _ends(section: Map) -> dict[str, str]:
    """Return the capabilities or requirements of a type, each with what it is or takes."""
    from im.topology.document import Map, as_map

    def kind(body: object) -> str:
        if not isinstance(body, Map):
            return str(body)
        return str(as_map(body).get("type") or as_map(body).get("node") or as_map(body).get("capability") or "")

    return {str(name): kind(body) for name, body in section.items()}


def property_rows(section: Map, known: Types) -> Iterator[Row]:
    """Yield name, type, default, conditions and description of each property or input of a section."""
    from im.topology.document import as_map
    from im.topology.schema import properties_of

    for name, definition in properties_of(section, known).items():
        description = _words(as_map(section[name]).get("description"))
        conditions = ", ".join(_condition(one) for one in definition.schema.constraints)
        yield name, type_text(definition.schema), _default(definition), conditions, description


def type_text(schema: Schema) -> str:
    """Return a type for people: ``list of string``."""
    entry = f" of {type_text(schema.entry)}" if schema.entry else ""
    return f"{schema.type or 'unknown'}{entry}"


def _default(definition: Property) -> str:
    from im.topology.functions import text

    if definition.default is not None:
        return text(definition.default) or '""'
    return "(required)" if definition.required else ""


_SIGNS = {
    "equal": "",
    "greater_than": "> ",
    "greater_or_equal": ">= ",
    "less_than": "< ",
    "less_or_equal": "<= ",
    "length": "length ",
    "min_length": "length >= ",
    "max_length": "length <= ",
    "pattern": "matches ",
}
_BETWEEN = {"in_range": " to ", "valid_values": " | "}


def _condition(constraint: Constraint) -> str:
    """Return a constraint as people write it: ``>= 1``, ``0 to 9``, ``this | that``."""
    argument = constraint.argument
    items = argument if isinstance(argument, list) else [argument]
    sign = _SIGNS.get(constraint.operator, "" if constraint.operator in _BETWEEN else f"{constraint.operator} ")
    return sign + _BETWEEN.get(constraint.operator, ", ").join(map(str, items))


def _words(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
