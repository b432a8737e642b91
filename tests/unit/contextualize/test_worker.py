"""The launcher on the front-end: Ansible never outlives the client that asked for it."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from im.data_files import data_folder

START = """
import pathlib, runpy, sys
worker = runpy.run_path(sys.argv.pop(1))
worker["main"].__globals__["RUNTIME"] = pathlib.Path(sys.argv.pop(1))
sys.exit(worker["main"]())
"""
ANSIBLE = """#!/bin/sh
trap '' TERM
sleep 300 &
echo $! > "$3.pid"
cat > "$3.input" &
[ -e "$3.quick" ] && exit 7
while read -r seconds; do sleep "$seconds" & sleep 0.001; done 2>/dev/null < "$3.busy"
wait
"""


@pytest.fixture
def start(tmp_path) -> Iterator:
    """Starts the launcher with an Ansible that begins a long task."""
    (tmp_path / "bin").mkdir()
    runner = tmp_path / "bin" / "ansible-runner"
    runner.write_text(ANSIBLE)
    runner.chmod(0o755)
    started = []

    def run() -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", START, data_folder("contextualization") / "worker.py", tmp_path / "run", tmp_path]
        started.append(subprocess.Popen([*line, tmp_path / "data"], stdin=subprocess.PIPE))
        return started[-1]

    yield run
    for process in started:
        process.stdin.close()
        process.wait(10)


def task(tmp_path: Path) -> int:
    path = tmp_path / "data.pid"
    wait(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_clients_end_ends_ansible_and_its_tasks(start, tmp_path):
    launcher = start()
    pid = task(tmp_path)
    assert alive(pid)
    launcher.stdin.close()
    launcher.wait(10)
    wait(lambda: not alive(pid))


def test_what_is_forked_at_that_moment_is_ended_too(start, tmp_path):
    seconds = f"300.{secrets.randbelow(10**9)}"
    (tmp_path / "data.busy").write_text(f"{seconds}\n" * 1000)
    for _ in range(5):
        launcher = start()
        wait(lambda: len(running(seconds)) > 20)
        launcher.stdin.close()
        launcher.wait(10)
        try:
            wait(lambda: not running(seconds))
        finally:
            for pid in running(seconds):
                os.kill(pid, signal.SIGKILL)


def running(seconds: str) -> list[int]:
    """The tasks of a busy Ansible."""
    done = subprocess.run(["pgrep", "-f", f"^sleep {seconds}"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def test_a_second_run_ends_the_first(start, tmp_path):
    first = start()
    pid = task(tmp_path)
    (tmp_path / "data.pid").unlink()
    start()
    first.wait(10)
    wait(lambda: not alive(pid))
    assert alive(task(tmp_path))


def test_a_record_of_a_process_that_is_long_gone_harms_nobody(start, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "worker").write_text(f"{os.getpid()} 12345")
    start()
    assert alive(task(tmp_path))


def test_its_exit_status_is_ansibles(start, tmp_path):
    (tmp_path / "data.quick").touch()
    launcher = start()
    assert launcher.wait(10) == 7
    os.kill(task(tmp_path), 9)
