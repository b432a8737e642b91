"""The client's end of a job, with the supervisor as a process of this machine instead of at the end of ssh."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time

import pytest

from im.jobs import session
from im.jobs.remote import supervisor, ward


@pytest.fixture
def job(tmp_path):
    name = secrets.token_hex(8)

    def line(script, **changes):
        description = {"id": name, "argv": ["sh", "-c", script], "env": {}, "directory": str(tmp_path), "here": "front"}
        description |= {
            "nodes": [],
            "agent": [],
            "letters": [[], []],
            "allocate": [],
            "release": [],
            "enter": [],
            "clean": [],
            "limit": 0,
            "patience": 30,
            "grace": 0.3,
        } | changes
        (tmp_path / "job.json").write_text(json.dumps(description))
        return [sys.executable, supervisor.__file__, str(tmp_path)]

    line.name, line.folder = name, tmp_path
    return line


def wait_until(condition, seconds=15.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def test_output_and_exit_code_come_through(job, tmp_path):
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        assert session.attend(job("echo a; echo b >&2; exit 9"), stdout=out, stderr=err) == 9
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("a\n", "b\n")


def test_what_goes_first_is_read_before_the_orders(job, tmp_path):
    program = 'exec 3<&0; head -c 5 > first; exec "$@" <&3'
    line = ["sh", "-c", f"cd {tmp_path} && {program}", "sh", *job("sleep 300")]
    assert session.attend(line, first=b"KKKKK", limit=0.5) == session.TIME_OVER
    assert (tmp_path / "first").read_bytes() == b"KKKKK"


def test_signs_of_life_reach_the_supervisor(job, monkeypatch):
    monkeypatch.setattr(session, "HEARTBEAT", 0.1)
    assert session.attend(job("sleep 1.2; exit 3", patience=0.7)) == 3


def test_a_job_that_takes_too_long_is_stopped(job):
    assert session.attend(job("sleep 300"), limit=0.5) == session.TIME_OVER
    assert not ward.marked(job.name)


def test_a_job_that_somebody_stops_ends_before_its_limit(job):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert session.attend(job("sleep 20"), limit=60, stop=stop) == session.TIME_OVER
    assert not ward.marked(job.name)


CLIENT = "import sys; from im.jobs.session import attend; sys.exit(attend(sys.argv[1:]))"


def client(line):
    return subprocess.Popen([sys.executable, "-c", CLIENT, *line], stdout=subprocess.DEVNULL)


def test_ctrl_c_is_passed_on_and_the_program_may_end_as_it_likes(job):
    process = client(job("trap 'exit 5' INT; touch started; while :; do sleep 0.05; done"))
    wait_until((job.folder / "started").exists)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 5


def test_a_second_ctrl_c_stops_a_program_that_ignores_the_first(job):
    process = client(job("trap '' INT; touch started; while :; do sleep 0.05; done"))
    wait_until((job.folder / "started").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 143
    assert not ward.marked(job.name)


def test_when_this_client_is_killed_nothing_goes_on(job):
    process = client(job("touch started; sleep 300"))
    wait_until((job.folder / "started").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not ward.marked(job.name))
