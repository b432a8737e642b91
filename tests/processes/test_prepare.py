"""The program that makes an image ready on a node, with shell commands instead of a container engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from im.jobs.remote import prepare


@pytest.fixture
def home(tmp_path):
    return tmp_path


def request(*scripts, archive="", size=0, keep=False):
    return {
        "record": ".im/images/im-1.json",
        "archive": archive,
        "size": size,
        "keep": keep,
        "steps": [["sh", "-c", script, "sh", prepare.LOADED] for script in scripts],
        "discard": [["sh", "-c", "echo discard >> ~/log"]],
        "account": "",
        "look": [],
        "facts": {"image": "mpi.tar"},
    }


def start(home, wanted):
    line = [sys.executable, prepare.__file__, json.dumps(wanted)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, "HOME": str(home)})


def run(home, wanted, stdin=b""):
    process = start(home, wanted)
    output, errors = process.communicate(stdin, timeout=20)
    assert errors == b""
    return process.returncode, json.loads(output)


def test_steps_run_in_order_and_may_use_what_the_first_called_the_image(home):
    code, answer = run(home, request("echo noise; echo Loaded image: lab/mpi:1", "echo noise", "echo $1 > ~/result"))
    assert (code, answer) == (0, {"image": "mpi.tar", "mpi": {}})
    assert (home / "result").read_text() == "lab/mpi:1\n"
    assert json.loads((home / ".im/images/im-1.json").read_text()) == answer


def test_an_account_is_there_for_the_steps_alone_and_for_nobody_else(home):
    seen = "cat $REGISTRY_AUTH_FILE $DOCKER_CONFIG/config.json $UDOCKER_KEYSTORE > ~/seen"
    mode = "stat -c %a $UDOCKER_KEYSTORE > ~/mode"
    assert run(home, request(seen, mode) | {"account": "ghcr.io"}, b"dTpw")[0] == 0
    assert (home / "seen").read_text().count('"https://ghcr.io": {"auth": "dTpw"') == 3
    assert (home / "mode").read_text() == "600\n"
    assert sorted(path.name for path in (home / ".im/images").iterdir()) == ["im-1.json", "im-1.lock"]


def test_what_a_look_into_the_image_tells_becomes_part_of_the_record(home):
    wanted = request("true") | {"look": ["printf", "family mpich\\nversion 4.0.2\\nodd\\n"]}
    assert run(home, wanted)[1]["mpi"] == {"family": "mpich", "version": "4.0.2"}


def test_a_look_that_is_impossible_tells_nothing(home):
    code, answer = run(home, request("true") | {"look": ["false"]})
    assert (code, answer["mpi"]) == (0, {})


def test_the_archive_arrives_whole_and_goes_when_it_is_no_longer_needed(home):
    run(home, request("cp ~/.im/images/a.tar ~/copy", archive=".im/images/a.tar", size=5), b"12345")
    assert (home / "copy").read_bytes() == b"12345"
    assert sorted(path.name for path in (home / ".im/images").iterdir()) == ["im-1.json", "im-1.lock"]


def test_an_engine_with_images_per_node_keeps_the_archive_for_the_next_node(home):
    run(home, request("true", archive=".im/images/a.tar", size=5, keep=True), b"12345")
    assert (home / ".im/images/a.tar").exists()


def test_an_engine_with_images_per_node_works_on_the_nodes_own_disk_and_leaves_nothing_there(home):
    run(home, request("test -O $TMPDIR && echo $TMPDIR > ~/place", keep=True))
    place = Path((home / "place").read_text().strip())
    assert place.parent == prepare.NODE
    assert not place.exists()


def test_where_no_facts_are_to_be_known_the_archive_is_brought_and_nothing_is_ready_yet(home):
    wanted = request(archive=".im/images/a.tar", size=5)
    del wanted["facts"]
    assert run(home, wanted, b"12345") == (0, {})
    assert run(home, wanted) == (0, {})
    assert sorted(path.name for path in (home / ".im/images").iterdir()) == ["a.tar", "im-1.lock"]


def test_a_transfer_that_breaks_off_leaves_nothing_ready(home):
    code, answer = run(home, request("true", archive=".im/images/a.tar", size=9), b"12345")
    assert (code, answer) == (1, {"error": "the archive broke off after 5 of 9 bytes"})
    assert not (home / ".im/images/im-1.json").exists()


def test_a_step_that_fails_is_quoted_and_its_leavings_are_discarded(home):
    code, answer = run(home, request("echo no space left >&2; exit 3"))
    assert code == 1
    assert answer["error"].endswith("no space left")
    assert (home / "log").read_text() == "discard\n" * 2
    assert run(home, request("true"))[0] == 0


def test_what_is_ready_is_not_made_again(home):
    wanted = request("echo made >> ~/log2")
    run(home, wanted)
    run(home, wanted)
    assert (home / "log2").read_text() == "made\n"


def test_many_at_once_make_it_once(home):
    wanted = request("echo made >> ~/log2; sleep 0.3")
    processes = [start(home, wanted) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=30)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert (home / "log2").read_text() == "made\n"


@pytest.mark.parametrize(
    "line", ["lab/mpi:1", "Loaded image: lab/mpi:1", "Loaded image ID: lab/mpi:1", "['lab/mpi:1']"]
)
def test_the_name_of_a_loaded_image_is_found_in_what_engines_print(line):
    assert prepare.name_in(line) == "lab/mpi:1"
