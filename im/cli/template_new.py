from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from im.cli.common import print_table

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
    from im.errors import InputError
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
    answers = given if yes else _asked(topology.input_definitions, given)
    load(source, answers)
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


def _asked(definitions: tuple[InputDefinition, ...], given: Mapping[str, object]) -> dict[str, object]:
    """Ask for every input that was not given; an answer is read as on the command line."""
    from im.sources.load import read_inputs

    answers = dict(given)
    for one in definitions:
        if one.name in given:
            continue
        words = f"{one.description or one.name} ({one.name}, {one.type})"
        answer = click.prompt(words, default="" if one.default is None else str(one.default), err=True)
        if answer != ("" if one.default is None else str(one.default)):
            answers |= read_inputs((f"{one.name}={answer}",), ())
    return answers


def _bring_along(source: Path, target: Path) -> None:
    """Copy what an example needs beside its template: playbooks, scripts, its own types."""
    if source.parent.parent.name != "examples":
        target.parent.mkdir(parents=True, exist_ok=True)
        return
    from im.errors import InputError

    for path in source.parent.iterdir():
        if path != source and (target.parent / path.name).exists():
            raise InputError("this exists beside the new template", where=str(target.parent / path.name))
    shutil.copytree(
        source.parent, target.parent, dirs_exist_ok=True, ignore=shutil.ignore_patterns(source.name, "__pycache__")
    )
