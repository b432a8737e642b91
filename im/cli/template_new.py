from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from im.cli.common import print_table
from im.errors import InputError, TemplateError

if TYPE_CHECKING:
    from im.topology.model import InputDefinition


@click.command("new")
@click.argument("name", required=False)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write.  [default: NAME.yaml]")
@click.option("--input", "-i", "inputs", multiple=True, metavar="K=V", help="The answer to an input; repeat for more.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take the template's own answers for the rest.")
def new(name: str | None, output: Path | None, inputs: tuple[str, ...], yes: bool) -> None:
    """Write a template of your own from the shipped one called NAME, with your answers as its defaults.

    Without NAME: list the shipped ones. A file that is there already is never written over.

    \b
    Example:
      im_client template new mpi_cluster -o lab.yaml
      im_client template new mpi_cluster --input workers=8 --yes
    """
    from im.sources.load import load, read_inputs
    from im.topology.answers import with_answers

    known = shipped()
    if name is None:
        print_table(("TEMPLATE", "DESCRIPTION"), [(key, load(path, {}).description) for key, path in known.items()])
        return
    if name not in known:
        raise InputError(f"there is no template {name!r}", hint=f"there are: {', '.join(known)}")
    target = output or Path(f"{name}.yaml")
    if target.exists():
        raise InputError("this file exists", where=str(target), hint="choose another with --output")
    source = known[name]
    given = read_inputs(inputs, ())
    topology = load(source, given)
    answers = given if yes else _asked(topology.input_definitions, given, source)
    text = with_answers(source.read_text(encoding="utf-8"), answers)
    _bring_along(source, target)
    target.write_text(text, encoding="utf-8")
    click.echo(f"{target} written; next: im_client validate {target}", err=True)


def shipped() -> dict[str, Path]:
    """Return the templates that come with im, by name."""
    from im.data_files import data_folder

    folder = data_folder("tosca_templates")
    found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return found | {path.parent.name: path for path in sorted(folder.glob("examples/*/cluster.yaml"))}


def _asked(definitions: tuple[InputDefinition, ...], given: Mapping[str, object], source: Path) -> Mapping[str, object]:
    """Ask for every input that was not given, again where the template refuses the answer."""
    answers = given
    for one in definitions:
        while one.name not in given:
            try:
                answers = _with_answer(one, answers, source)
                break
            except InputError as error:
                click.echo(_reason(error), err=True)
    return answers


def _reason(error: InputError) -> str:
    """Return the first thing that is wrong, without its place in a template that the user did not write."""
    from im.topology.model import Finding

    first = error.findings[0] if isinstance(error, TemplateError) else error
    return first.message if isinstance(first, Finding) else str(first)


def _with_answer(one: InputDefinition, answers: Mapping[str, object], source: Path) -> Mapping[str, object]:
    """Ask for one input; an answer is read as on the command line. Raises ``InputError`` for one that will not do."""
    from im.sources.load import load, read_inputs

    default = "" if one.default is None else str(one.default)
    kind = one.type.removeprefix("scalar-unit.")
    answer = click.prompt(f"{one.description or one.name} ({one.name}, {kind})", default=default, err=True)
    if answer == default:
        return answers
    known = {**answers, **read_inputs((f"{one.name}={answer}",), ())}
    load(source, known)
    return known


def _bring_along(source: Path, target: Path) -> None:
    """Copy what an example needs beside its template: playbooks, scripts, its own types."""
    if source.parent.parent.name != "examples":
        target.parent.mkdir(parents=True, exist_ok=True)
        return
    for path in source.parent.iterdir():
        if path != source and (target.parent / path.name).exists():
            raise InputError("this exists beside the new template", where=str(target.parent / path.name))
    shutil.copytree(
        source.parent, target.parent, dirs_exist_ok=True, ignore=shutil.ignore_patterns(source.name, "__pycache__")
    )
