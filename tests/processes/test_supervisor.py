"""The supervisor of a job, with plain processes of this machine instead of mpirun and ranks."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from im.jobs.remote import source, supervisor, ward

PROGRAM = supervisor.__file__


HERE = ["sh", "-c", 'exec sh -c "$1"']
"""Takes the place of ssh: "ssh NODE LINE" runs the line here."""


@dataclass
class Job:
    """One job folder, and the supervisor that runs it."""

    folder: Path
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    process: subprocess.Popen[bytes] | None = None

    def start(
        self, script: str, *, patience: float = 30, limit: float = 0, argv: list[str] | None = None, **more: object
    ) -> Job:
        description = {
            "id": self.name,
            "argv": argv or ["sh", "-c", script],
            "env": {"COLOUR": "green"},
            "directory": str(self.folder),
            "here": "front",
            "nodes": ["front"],
            "agent": HERE,
            "letters": [["false"], ["--"]],
            "enter": [],
            "clean": [],
            "allocate": [],
            "release": [],
            "limit": limit,
            "patience": patience,
            "grace": 0.3,
            **more,
        }
        (self.folder / "job.json").write_text(json.dumps(description))
        line = [sys.executable, PROGRAM, str(self.folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe)
        return self

    def finish(self) -> tuple[int, bytes, bytes]:
        code = self.process.wait(20)
        return code, self.process.stdout.read(), self.process.stderr.read()

    def hang_up(self) -> None:
        self.process.stdin.close()

    def order(self, letter: bytes) -> None:
        self.process.stdin.write(letter)
        self.process.stdin.flush()

    def wait_for(self, file: str) -> None:
        wait_until((self.folder / file).exists)

    @property
    def status(self) -> dict[str, object]:
        return json.loads((self.folder / "status.json").read_text())

    @property
    def left(self) -> set[int]:
        return ward.marked(self.name)


def wait_until(condition, seconds: float = 15) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def job(tmp_path):
    job = Job(tmp_path)
    yield job
    if job.process and job.process.poll() is None:
        job.process.kill()
        job.process.communicate()
    for process in job.left:
        with contextlib.suppress(OSError):
            os.kill(process, 9)


FOREVER = "setsid sleep 300 & sleep 300 & touch started; wait"


def test_the_exit_code_is_the_programs_and_its_two_outputs_stay_apart(job):
    code, output, errors = job.start("echo $COLOUR; echo red >&2; exit 37").finish()
    assert (code, output, errors) == (37, b"green\n", b"red\n")


def test_a_program_that_dies_of_a_signal_gives_128_plus_its_number(job):
    assert job.start("kill -9 $$").finish()[0] == 137


def test_output_arrives_while_the_program_runs(job):
    job.start("echo early; sleep 300")
    assert job.process.stdout.readline() == b"early\n"


def test_a_daemon_that_the_program_leaves_behind_is_ended(job):
    code, _, _ = job.start("setsid sleep 300 >/dev/null 2>&1 & exit 0").finish()
    assert code == 0
    assert job.left == set()
    assert job.status["left"] == {"front": 1}


def test_when_the_client_goes_away_everything_ends(job):
    job.start(FOREVER).wait_for("started")
    job.hang_up()
    job.finish()
    assert job.left == set()
    assert job.status["reason"] == "gone"


def test_a_job_that_takes_longer_than_its_limit_is_ended(job):
    job.start(FOREVER, limit=0.5)
    assert job.finish()[0] != 0
    assert job.status["reason"] == "limit"
    assert not job.left


LOGIN = ["sh", "-c", 'shift 2; exec sh -c "$1"', "ssh"]
"""Takes the place of ssh: "ssh NODE -- LINE" runs the line here."""


def test_what_a_launcher_in_a_container_asks_for_runs_on_its_node_and_tells_its_end(job):
    agent = job.folder / "agent"
    agent.write_text(source("agent.sh").replace("@MAIL@", str(job.folder / "mail")))
    job.start(
        f"sh {agent} -x w-1 'echo $WHERE $IM_JOB' '&& exit 6'; echo $?",
        letters=[LOGIN, ["--"]],
        enter=["env", "WHERE=in"],
    )
    assert job.finish()[1].splitlines() == [f"in {job.name}".encode(), b"6"]


def allocate(script: str) -> list[str]:
    """Takes the place of salloc, and of the command that it holds its nodes for."""
    return ["sh", "-c", script, "salloc"]


GRANTED = "echo w-2; echo w-1; echo w-2; echo job 7; touch granted; exec cat"
PRINTED = 'echo "$0 $SLURM_JOB_ID $SLURM_NODELIST $SLURM_TASKS_PER_NODE"'


def test_under_slurm_the_launcher_gets_the_nodes_that_were_given_and_gives_them_back(job):
    held = f"cd {job.folder}; {GRANTED} > held"
    line = ["sh", "-c", PRINTED, supervisor.HOSTS]
    release = [["touch", str(job.folder / "released")]]
    held = held.replace("exec cat > held", "cat; touch ended")
    code, output, errors = job.start("", argv=line, allocate=allocate(held), release=release).finish()
    assert (code, output) == (0, b"w-1:1,w-2:2 7 w-1,w-2 1,2\n"), errors
    assert (job.folder / "ended").exists()
    assert (job.folder / "released").exists()
    assert set(job.status["left"]) == {"front", "w-1", "w-2"}


def test_a_launcher_in_a_container_starts_its_daemons_by_slurm_and_does_not_see_it(job):
    line = ["sh", "-c", PRINTED, supervisor.HOSTS]
    _, output, _ = job.start("", argv=line, allocate=allocate(f"cd {job.folder}; {GRANTED}"), enter=["env"]).finish()
    assert output == b"w-1:1,w-2:2   \n"


def test_a_job_for_which_slurm_has_no_nodes_says_so(job):
    job.start("", argv=["true", supervisor.HOSTS], allocate=allocate("echo no room >&2; exit 1"))
    code, _, errors = job.finish()
    assert (code, job.status["error"], errors) == (125, "Slurm gave the job no nodes", b"no room\n")


def test_a_job_that_waits_for_nodes_ends_with_its_client(job):
    job.start("", argv=["true", supervisor.HOSTS], allocate=allocate(f"touch {job.folder}/started; sleep 300"))
    job.wait_for("started")
    job.hang_up()
    assert job.finish()[0] == 130
    assert (job.status["reason"], job.left) == ("gone", set())


def test_nodes_are_given_back_even_if_the_supervisor_is_killed(job):
    release = [["touch", str(job.folder / "released")]]
    held = f"cd {job.folder}; {GRANTED}"
    job.start("", argv=["sleep", "300", supervisor.HOSTS], allocate=allocate(held), release=release)
    job.wait_for("granted")
    job.process.kill()
    wait_until(lambda: not job.left)
    job.wait_for("released")


def test_the_engine_cleans_up_after_the_processes(job):
    job.start("exit 3", clean=[["touch", str(job.folder / "cleaned")]])
    assert job.finish()[0] == 3
    assert (job.folder / "cleaned").exists()


def test_a_job_that_loses_a_node_ends_and_names_it(job):
    job.start(FOREVER, nodes=["front", "w-1"], agent=["sh", "-c", "sleep 0.5; exit 255"])
    assert job.finish()[0] == 125
    assert job.status["error"] == "the job has lost node w-1: it does not answer any more"
    assert job.left == set()


def test_when_the_client_falls_silent_everything_ends(job):
    job.start(FOREVER, patience=0.5).wait_for("started")
    job.process.wait(20)
    assert job.left == set()
    assert job.status["reason"] == "gone"


def test_when_the_supervisor_itself_is_killed_everything_ends(job):
    job.start(FOREVER).wait_for("started")
    assert len(job.left) >= 3
    job.process.kill()
    wait_until(lambda: not job.left)


def test_a_process_that_ignores_a_polite_end_is_killed(job):
    job.start("trap '' TERM INT HUP; touch started; while :; do sleep 1; done").wait_for("started")
    job.order(b"K")
    assert job.finish()[0] == 137
    assert job.left == set()


def test_an_interrupt_reaches_the_program_which_may_end_as_it_likes(job):
    job.start("trap 'exit 5' INT; touch started; while :; do sleep 0.05; done").wait_for("started")
    job.order(b"I")
    assert job.finish()[0] == 5
    assert job.status["reason"] == "interrupt"


def test_signs_of_life_keep_the_job_running(job):
    job.start("sleep 2; exit 4", patience=1.5)
    for _ in range(7):
        job.order(b".")
        time.sleep(0.3)
    assert job.finish()[0] == 4


def test_a_command_that_is_not_there_is_our_fault_and_is_named(job):
    assert job.start("", argv=["/no/mpirun"]).finish()[0] == 125
    assert job.status["error"] == "cannot start /no/mpirun: No such file or directory"


NOISE = b"[front:00964] plm:rsh: Warning: setpgid(970,970) failed in parent with errno=Permission denied(13)\n"


def test_a_warning_that_means_nothing_is_kept_from_the_user(job):
    _, _, errors = job.start(f"echo one >&2; printf '%s' '{NOISE.decode()}' >&2; echo two >&2").finish()
    assert errors == b"one\ntwo\n"


def test_a_line_that_may_yet_be_that_warning_waits_for_its_end_and_no_other_does():
    assert supervisor.sieve(b"a\n" + NOISE + b"b") == (b"a\nb", b"")
    assert supervisor.sieve(b"a\n" + NOISE[:30]) == (b"a\n", NOISE[:30])
    assert supervisor.sieve(b"[1] other\n" + b"[" + b"x" * 300) == (b"[1] other\n[" + b"x" * 300, b"")
    assert supervisor.sieve(b"") == (b"", b"")


def test_errors_arrive_while_the_program_runs(job):
    job.start("printf 'how many? ' >&2; sleep 300")
    assert job.process.stderr.read(10) == b"how many? "


AGENT = """
import os, pathlib, select
os.set_blocking(0, False)
pathlib.Path("set").touch()
select.select([0], [], [])
print(0)
"""
"""As ssh does it: reads from its standard input without waiting, and so does everybody who shares it."""


def test_how_a_login_reads_its_input_is_nothing_to_the_other_nodes(job, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "python3"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nwhile [ ! -e set ]; do sleep 0.02; done\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    job.start("sleep 1.5", nodes=["worker"], agent=[sys.executable, "-c", AGENT])
    assert job.finish()[0] == 0
    assert job.status["left"] == {"front": 0, "worker": 0}
