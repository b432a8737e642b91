"""The shell functions of recipes, run by this machine's sh."""

import json
import subprocess

import pytest

from im.contextualize.inventory import shell_functions


@pytest.fixture
def sh(tmp_path):
    def run(script: str) -> list[str]:
        line = ["sh", "-s"]
        done = subprocess.run(
            line, input=shell_functions() + script, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return done.stdout.splitlines()

    return run


def test_put_writes_a_file_once_and_says_so(sh, tmp_path):
    path = tmp_path / "deep" / "file"
    script = f"echo text | put {path} 640\n"
    assert sh(script) == [f"changed: {path}"]
    assert sh(script) == []
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text\n", 0o640)
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_a_block_is_replaced_and_the_other_lines_stay(sh, tmp_path):
    path = tmp_path / "conf"
    path.write_text("mine, without a final newline")
    assert sh(f"echo one | block {path}\n") == [f"changed: {path}"]
    assert sh(f"echo two | block {path}; echo two | block {path}\n") == [f"changed: {path}"]
    assert path.read_text() == "mine, without a final newline\n# BEGIN im\ntwo\n# END im\n"


def test_facts_are_merged(sh, tmp_path):
    path = tmp_path / "facts.json"
    sh(f"""echo '{{"a": 1, "b": 1}}' | facts {path}; echo '{{"b": 2}}' | facts {path}\n""")
    assert json.loads(path.read_text()) == {"a": 1, "b": 2}


def test_a_script_ends_at_its_first_failure(sh):
    with pytest.raises(subprocess.CalledProcessError):
        sh("false\necho on\n")
