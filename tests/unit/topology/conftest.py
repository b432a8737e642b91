"""Templates as texts in a test: ``deploy`` builds one, ``findings`` returns the lines that the user would see."""

from __future__ import annotations

from textwrap import dedent

import pytest

from im.errors import TemplateError
from im.sources.load import load

HEADER = "tosca_definitions_version: tosca_simple_yaml_1_3\n"


@pytest.fixture
def deploy(tmp_path, monkeypatch):
    """Return a function from a template's text (without its version line) to its topology; files lie beside it."""
    monkeypatch.chdir(tmp_path)

    def build(text, *, inputs=None, files=(), header=HEADER, **options):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("- hosts: all\n")
        path = tmp_path.relative_to(tmp_path) / "t.yaml"
        path.write_text(header + dedent(text).lstrip("\n"))
        return load(path, inputs or {}, **options)

    return build


@pytest.fixture
def findings(deploy):
    """Return a function from a template's text to its findings, or to the warnings of its topology, as lines."""

    def lines(text, **options):
        try:
            topology = deploy(text, **options)
        except TemplateError as error:
            return [str(finding) for finding in error.findings]
        return [str(finding) for finding in topology.warnings]

    return lines
