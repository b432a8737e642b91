"""The command line reference cannot go stale."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def writer():
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_reference_is_what_help_prints_today():
    assert (ROOT / "docs" / "cli.md").read_text() == writer().document(), "run: make docs"


def test_every_command_shows_an_example():
    sections = writer().document().split("\n## ")[1:]
    assert [section.split("\n")[0] for section in sections if "Example:" not in section] == []


def test_every_setting_is_documented():
    from im.config import OcciSite, Settings

    text = (ROOT / "docs" / "settings.md").read_text()
    assert [
        name for name in (*Settings.__struct_fields__, *OcciSite.__struct_fields__) if f"`{name}`" not in text
    ] == []


def test_every_runtime_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [line.split(">")[0].split("=")[0].split("<")[0] for line in project["dependencies"]]
    text = (ROOT / "docs" / "dependencies.md").read_text().lower()
    assert [name for name in names if name.lower() not in text] == []
