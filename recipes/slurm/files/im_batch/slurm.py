"""Slurm's commands, and what they print, as values."""

from __future__ import annotations

import re
import subprocess

from im_batch.faults import BatchError

OVER = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
"""States that a job does not leave."""


def ask(*words: str, text: str = "") -> str:
    """Run one of Slurm's commands and return what it prints. Raises :class:`BatchError` with its reason."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        raise BatchError("this machine has no Slurm") from None
    except subprocess.TimeoutExpired:
        raise BatchError("Slurm does not answer", "is slurmctld up? see: scontrol ping") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip()]
        raise BatchError(f"Slurm says: {told[-1].split('error: ')[-1] if told else f'{words[0]} failed'}")
    return done.stdout


def states(user: int) -> dict[int, tuple[str, str]]:
    """Return the jobs of a user that Slurm still knows: number -> state, nodes or the reason to wait."""
    found = {}
    for line in ask("squeue", "--noheader", "--user", str(user), "--states=all", "--format=%A|%T|%R").splitlines():
        number, state, place = line.split("|", 2)
        found[int(number)] = (state, place)
    return found


def show(job: int) -> dict[str, str]:
    """Return what Slurm knows of one job; empty once it has forgotten it."""
    try:
        return fields(ask("scontrol", "show", "job", "--oneliner", str(job)))
    except BatchError:
        return {}


def fields(text: str) -> dict[str, str]:
    """Read ``Key=value Key=value``; values may hold blanks, keys begin with a capital letter.

    >>> fields("JobId=7 JobName=a b ExitCode=0:9")
    {'JobId': '7', 'JobName': 'a b', 'ExitCode': '0:9'}
    """
    parts = re.split(r"(?:^|\s)([A-Z][A-Za-z:/]*)=", text.strip())
    return dict(zip(parts[1::2], (value.strip() for value in parts[2::2])))  # noqa: B905 - Python 3.9


def exit_code(job: dict[str, str]) -> int:
    """Return a job's exit code as a shell has it: 128 and the signal's number for one that a signal ended."""
    code, _, number = job.get("ExitCode", "").partition(":")
    signal = int(number or 0)
    state = job.get("JobState", "")
    if state == "OUT_OF_MEMORY":  # Slurm has a number of its own for this
        return 137
    if signal:
        return 128 + signal
    if state in {"CANCELLED", "TIMEOUT", "NODE_FAIL", "DEADLINE"} and int(code or 0) == 0:
        return 137
    return int(code or 0)
