"""One process at a time, and the others know who."""

import os
import signal
import time

import pytest
from engine_lab import cluster

from im.engine.locks import held, holder
from im.errors import Held


@pytest.fixture
def another_process(tmp_path):
    """Start processes that hold a lock until they are told to end."""
    pids = []

    def start(name, verb="deploy"):
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            with held(tmp_path / "locks", name, verb):
                os.write(told, b".")
                time.sleep(60)
            os._exit(0)
        pids.append(pid)
        os.read(ready, 1)
        return pid

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_second_is_told_who_has_it_and_since_when(tmp_path, another_process):
    pid = another_process("demo")
    with pytest.raises(Held) as caught, held(tmp_path / "locks", "demo", "delete"):
        pass
    since = time.strftime("%H:")
    who = f"demo is being deployed by process {pid} on host {os.uname().nodename} since {since}"
    assert who in caught.value.message
    assert " deploy demo)" in caught.value.message


def test_other_infrastructures_are_free(tmp_path, another_process):
    another_process("demo")
    with held(tmp_path / "locks", "other", "deploy"):
        pass


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path, another_process):
    pid = another_process("demo")
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with held(tmp_path / "locks", "demo", "deploy"):
        assert holder(tmp_path / "locks", "demo")
    assert holder(tmp_path / "locks", "demo") == ""


def test_nothing_is_left_when_it_is_done(tmp_path):
    with held(tmp_path / "locks", "demo", "deploy"):
        pass
    assert list((tmp_path / "locks").iterdir()) == []


def test_arguments_of_the_command_are_not_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/im_client", "deploy", "--input", "password=secret"])
    with held(tmp_path / "locks", "demo", "deploy"):
        assert "secret" not in (tmp_path / "locks" / "demo.lock").read_text()


def test_of_two_deploys_at_once_the_second_is_told(lab, another_process):
    another_process("demo")
    with pytest.raises(Held):
        lab.deploy()
    assert lab.servers == []


def test_looking_needs_no_lock(lab, another_process):
    lab.deploy()
    another_process("demo")
    assert lab.engine().refresh("demo").name == "demo"
    assert lab.engine().plan("demo", "fake", cluster()).changes == ()
