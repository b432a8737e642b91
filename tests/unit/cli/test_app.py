"""Errors become one message and one documented exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from im.cli import app
from im.errors import Held, InputError, JobError, TemplateError
from im.topology.model import Finding, Mark


@pytest.fixture
def failing(monkeypatch):
    """Make `im_client version` raise what the test wants."""

    def make(error):
        def main(*args, **kwargs):
            raise error

        monkeypatch.setattr(app.cli, "main", main)

    return make


def test_help_ends_with_zero_and_names_every_command(capsys):
    assert app.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name in app.COMMANDS if name not in text] == []


def test_an_unknown_command_is_a_usage_error(capsys):
    assert app.run(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [(InputError("x"), 2), (Held("x"), 1), (JobError("x"), 125), (KeyboardInterrupt(), 130)],
)
def test_each_error_has_its_exit_code(failing, error, status):
    failing(error)
    assert app.run(["version"]) == status


def test_an_error_says_where_and_what_to_do_next(failing, capsys):
    failing(InputError("no such flavor", where="cluster.yaml:4:2", hint="choose another"))
    app.run(["version"])
    assert capsys.readouterr().err == "error input: cluster.yaml:4:2: no such flavor\n  next: choose another\n"


def test_every_finding_of_a_template_is_one_line(failing, capsys):
    findings = [
        Finding(Mark("a.yaml", 3, 7), "unknown-type", "no type x", "did you mean y"),
        Finding(Mark("a.yaml"), "c", "m"),
    ]
    failing(TemplateError(findings))
    assert app.run(["version"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:3:7: error unknown-type: no type x (did you mean y)",
        "a.yaml:1:1: error c: m",
    ]


def test_an_unexpected_error_leaves_no_traceback_on_the_screen_but_a_file(failing, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("IM_HOME", str(tmp_path))
    failing(ZeroDivisionError("boom"))
    assert app.run(["version"]) == 1
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert "boom" in next((tmp_path / "logs").iterdir()).read_text()


def test_help_imports_nothing_heavy():
    code = "import sys; from im.cli.app import run; run(['--help']); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = set(output.split())
    assert modules.isdisjoint(
        {"sqlalchemy", "paramiko", "rich.live", "msgspec", "toscaparser", "ansible_runner", "yaml"}
    )


def test_the_command_that_is_called_as_a_module_of_pythons_comes_to_its_end():
    line = [sys.executable, "-c", "from im.cli import main; main()", "gc", "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
