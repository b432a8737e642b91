"""Slurm's commands, and what they print, as values."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from im_batch.faults import BatchError

OVER = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
"""States that a job does not leave."""


_SILENCE = "Unable to contact slurm controller", "Socket timed out", "Zero Bytes were transmitted"
_PATIENCE = 60.0


class Silent(BatchError):
    """Slurm does not answer: nothing is known."""


def ask(*words: str, text: str = "") -> str:
    """Run one of Slurm's commands and return what it prints. Raises :class:`BatchError` with its reason."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        raise BatchError("this machine has no Slurm") from None
    except subprocess.TimeoutExpired:
        raise Silent("Slurm does not answer", "is slurmctld up? see: scontrol ping") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip()]
        kind = Silent if any(said in done.stderr for said in _SILENCE) else BatchError
        raise kind(f"Slurm says: {told[-1].split('error: ')[-1] if told else f'{words[0]} failed'}")
    return done.stdout


def look(*words: str) -> str:
    """Ask what changes nothing, and again while Slurm does not answer: it may be busy, or be started anew."""
    limit = time.monotonic() + _PATIENCE
    pause = 0.2
    while True:
        try:
            return ask(*words)
        except Silent:
            if time.monotonic() > limit:
                raise
        time.sleep(pause)
        pause = min(5.0, pause * 1.5)


def states(user: int) -> dict[int, tuple[str, str]]:
    """Return the jobs of a user that Slurm still knows: number -> state, nodes or the reason to wait."""
    found = {}
    for line in ask("squeue", "--noheader", "--user", str(user), "--states=all", "--format=%A|%T|%R").splitlines():
        number, state, place = line.split("|", 2)
        found[int(number)] = (state, place)
    return found


@dataclass(frozen=True)
class Job:
    """What Slurm itself says of a job: nothing in here is a user's text. ``status`` is as ``wait`` returns it."""

    number: int
    user: int
    state: str
    status: int = 0
    started: str = ""
    ended: str = ""
    cpus: int = 0
    nodes: str = ""

    @property
    def over(self) -> bool:
        """Whether its state will not change."""
        return self.state in OVER


_FIELDS = ("JobID", "UserID", "State", "exit_code", "StartTime", "EndTime", "NumCPUs", "NodeList")


def show(number: int) -> Job | None:
    """Return what Slurm knows of one job; None once it has forgotten it. Raises :class:`Silent`.

    Names and comments are asked for elsewhere: whoever chose them could make up all other fields.
    """
    wanted = ",".join(f"{name}:|" for name in _FIELDS)
    try:
        lines = look("squeue", "--noheader", "--states=all", "--jobs", str(number), f"--Format={wanted}").splitlines()
    except Silent:
        raise
    except BatchError:
        return None
    return next((job for job in map(_job, lines) if job.number == number), None)


def _job(line: str) -> Job:
    number, user, state, status, started, ended, cpus, nodes = line.split("|")[: len(_FIELDS)]
    return Job(int(number), int(user), state, int(status), started, ended, int(cpus), nodes)


def texts(number: int) -> tuple[str, str]:
    """Return what the user chose: the job's name and its comment, the first line of each."""
    mark = f"{number}|"

    def chosen(field: str) -> str:
        # Slurm answers for the first task of an array with all of them.
        told = look("squeue", "--noheader", "--states=all", "--jobs", str(number), f"--format=%A|{field}")
        return next((line[len(mark) :] for line in told.splitlines() if line.startswith(mark)), "")

    return chosen("%j"), chosen("%k")


def exit_code(job: Job) -> int:
    """Return a job's exit code as a shell has it: 128 and the signal's number for one that a signal ended."""
    if job.state == "OUT_OF_MEMORY":  # Slurm has a number of its own for this
        return 137
    if job.status & 127:
        return 128 + (job.status & 127)
    if job.state in {"CANCELLED", "TIMEOUT", "NODE_FAIL", "DEADLINE"} and not job.status:
        return 137
    return job.status >> 8
