"""The client's part of a scan: what it sends, and how it tells of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from im.errors import UnknownName
from im.jobs.facts import Member
from im.jobs.sweep import client, request


def test_what_is_sent_runs_by_itself_with_nothing_of_us_installed(tmp_path):
    client.stage(tmp_path)
    wanted = request.Sweep("lab/tools:1", ("true", "{a}"), identifier="5e1fab72")
    workers = [Member("worker-1", "10.0.0.3", 2)]
    (tmp_path / "sweep.json").write_text(request.description(wanted, 2, ["sh"], workers, "front"))
    (tmp_path / "points.jsonl").write_text(request.listing([{"a": "1"}, {"a": "2"}]))
    line = [sys.executable, "-I", "-c", "import sys, runpy; sys.path[0:0] = [sys.argv.pop(1)]; "]
    line[-1] += "runpy.run_module('im.jobs.sweep.remote.front', run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        [*line, str(tmp_path / "front"), str(tmp_path), "status"], capture_output=True, check=False, cwd="/"
    )
    known = json.loads(done.stdout)
    assert (known["id"], known["state"], known["points"], known["queued"]) == ("5e1fab72", "stopped", 2, 2)


def test_the_variables_of_a_scan_are_passed_on_by_every_engine():
    wanted = request.Sweep("lab/tools:1", ("true",), env={"B": "b", "A": "a b"})
    told = json.loads(request.description(wanted, 1, ["sh"], [], "front"))
    assert told["env"] == {"A": "a b", "B": "b", "IM_JOB_ENV": "-e A -e B"}


def standing(**other):
    known = {"done": 0, "points": 10, "failed": 0, "running": 0, "lost": 0, "left": None, "trouble": "", "state": ""}
    return {**known, **other}


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (standing(), "0 of 10 points done"),
        (standing(done=4, running=2, left=59), "4 of 10 points done, 2 running; about 59 s left"),
        (standing(done=4, failed=1, left=3601), "4 of 10 points done, 1 failed; about 2 h left"),
        (standing(lost=3, state="stopped", trouble="disk full"), "0 of 10 points done, 3 lost; disk full"),
        (standing(state="running", trouble="disk full"), "0 of 10 points done"),
    ],
)
def test_how_a_scan_stands_is_told_in_a_line(known, text):
    assert client.progress(known) == text


@pytest.mark.parametrize("name", ["", "../x", "a b", "$(x)", "a/b"])
def test_a_name_that_cannot_be_a_scans_never_reaches_the_front_end(name):
    with pytest.raises(UnknownName):
        client.place(name)


def test_a_scan_is_a_success_only_if_all_points_are_done():
    assert client.successful(standing(done=10))
    assert not client.successful(standing(done=9, failed=1))
