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


def test_blocks_of_several_names_stand_side_by_side(sh, tmp_path):
    path = tmp_path / "conf"
    both = f"echo a | block {path}; echo b | block {path} more\n"
    assert sh(both) == [f"changed: {path}"] * 2
    sh(f"echo c | block {path}\n")
    assert path.read_text() == "# BEGIN im more\nb\n# END im more\n# BEGIN im\nc\n# END im\n"


def test_what_is_mounted_is_not_mounted_again(sh):
    assert sh("mount_folder /proc proc\n") == []
