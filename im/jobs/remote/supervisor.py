"""Runs one job on the front-end, and leaves nothing of it behind on any node.

``supervisor.py FOLDER`` starts the command line of ``FOLDER/job.json`` with our stdout and stderr, writes
``FOLDER/status.json`` and exits with the command's code. It takes orders on stdin, one byte each: ``.`` the client
lives, ``I`` interrupt, ``K`` stop now; end of file or a long silence means that the client is gone: stop now.

A launcher that runs in a container cannot log in to nodes: it leaves letters in ``FOLDER/mail``, and we do it.
Where the cluster has Slurm, the nodes are those of an allocation, which we ask for first and hold until the end.

:mod:`im.jobs.remote.ward`, which lies beside us, runs on every node of the job for as long as the job does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

POLL = 0.05
LOOK = 1.0
OUR_FAULT = 125
INTERRUPTED = 130
HOSTS = "@hosts@"
"""On the command line of a job under Slurm: the nodes that it gets, with their ranks."""
WARD = ("python3", str(Path(__file__).resolve().with_name("ward.py")))


class Wards:
    """One ward per node of a job, for as long as the job runs: each reads from a pipe of its own, which ends with us.

    They share none: ssh makes its own end non-blocking, and with it that of all who share it.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.grace = float(job["grace"])
        self.of: dict[str, subprocess.Popen[bytes]] = {}
        self.watch([job["here"], *job["nodes"]])

    def watch(self, nodes: Iterable[str]) -> None:
        """Start a ward on each of the nodes that have none. The front-end's also gives back what Slurm gave."""
        job = self.job
        for node in set(nodes) - set(self.of):
            clean = [*job["clean"], *(job["release"] if node == job["here"] else [])]
            program = [*WARD, "watch", job["id"], str(self.grace), json.dumps(clean)]
            line = program if node == job["here"] else [*job["agent"], node, shlex.join(program)]
            self.of[node] = self._start(line)

    @staticmethod
    def _start(line: list[str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True)

    def lost(self) -> list[str]:
        """Return the nodes whose ward has ended: before us it does so only if the node, or the way there, is gone."""
        return [node for node, process in self.of.items() if process.poll() is not None]

    def dismiss(self) -> dict[str, int]:
        """Let all of them sweep at once; return how many processes each one had to end (-1: it could not tell)."""
        for process in self.of.values():
            if process.stdin:
                process.stdin.close()
            process.stdin = None
        until = time.monotonic() + self.grace + 15
        return {node: self._result(process, until) for node, process in self.of.items()}

    @staticmethod
    def _result(process: subprocess.Popen[bytes], until: float) -> int:
        try:
            output, _ = process.communicate(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            return -1
        return int(output or b"-1")


NOISE = re.compile(rb"\[[^\]]{1,80}\] plm:rsh: Warning: setpgid\(.*\n?")


def sieve(text: bytes) -> tuple[bytes, bytes]:
    """Split what mpirun wrote into what the user shall see now, and the start of a line that may yet be noise.

    The noise: mpirun says at almost every start that it was slower than its own child, which means nothing.
    """
    lines = text.splitlines(keepends=True)
    rest = b""
    if lines and lines[-1].startswith(b"[") and not lines[-1].endswith(b"\n") and len(lines[-1]) < 200:
        rest = lines.pop()
    return b"".join(line for line in lines if not NOISE.fullmatch(line)), rest


class Errors:
    """The command's stderr on its way to ours: everything as it comes, but for the noise."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()
        self._thread = threading.Thread(target=self._forward, daemon=True)

    def start(self) -> None:
        """Begin, once the command has its end."""
        os.close(self.theirs)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last words; not for ever, in case that somebody still holds the other end."""
        if self._thread.ident:
            self._thread.join(2)

    def _forward(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):  # nobody reads any more: the command learns it from its own end
            while text := os.read(self._ours, 65536):
                shown, rest = sieve(rest + text)
                self._show(shown)
            self._show(rest)
        os.close(self._ours)

    @staticmethod
    def _show(text: bytes) -> None:
        while text:
            text = text[os.write(2, text) :]


class Mail:
    """Starts on nodes what a launcher in a container asks for: each letter is a node's name and a shell command."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        self.folder = folder
        self.agent, self.shell = job["letters"]
        marks = {"IM_JOB": job["id"], "IM_JOB_ENV": ""}
        self.enter = ["env", *(f"{name}={value}" for name, value in marks.items()), *job["enter"], "/bin/sh", "-c"]
        self.over = threading.Event()
        self.under_way: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to look for letters."""
        self.folder.mkdir(exist_ok=True)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self.over.wait(POLL):
            for letter in self.folder.glob("*.go"):
                node, _, command = letter.read_text().partition("\n")
                taken = letter.rename(letter.with_suffix(".taken"))
                delivery = threading.Thread(target=self._deliver, args=(taken, node, command), daemon=True)
                delivery.start()
                self.under_way.append(delivery)

    def finish(self, patience: float) -> None:
        """Take no more letters; what runs on the nodes ends by itself, if it can, when its launcher has."""
        self.over.set()
        until = time.monotonic() + patience
        for delivery in self.under_way:
            delivery.join(max(0.0, until - time.monotonic()))

    def _deliver(self, letter: Path, node: str, command: str) -> None:
        line = [*self.agent, node, *self.shell, shlex.join([*self.enter, command])]
        code = subprocess.run(line, stdin=subprocess.DEVNULL, start_new_session=True, check=False).returncode
        new = letter.with_suffix(".new")
        with contextlib.suppress(OSError):  # the job is over, and its folder gone
            new.write_text(f"{code if code >= 0 else 128 - code}\n")
            new.rename(letter.with_suffix(".done"))


class Watch:
    """Waits for the end of ``wait``, an order on stdin, a node's loss, the limit of time, or a signal to us."""

    def __init__(self, wait: Callable[[], object], wards: Wards, patience: float, limit: float = 0) -> None:
        self.wards = wards
        self.patience = patience
        self.until = time.monotonic() + limit if limit else float("inf")
        self.heard = time.monotonic()
        self.ended, self._end = os.pipe()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: self._tell(b"K"))
        threading.Thread(target=self._wait, args=(wait,), daemon=True).start()

    def _wait(self, wait: Callable[[], object]) -> None:
        wait()
        self._tell(b"E")

    def _tell(self, word: bytes) -> None:
        os.write(self._end, word)

    def next(self) -> str:
        """Return ``ended``, ``interrupt``, ``stop`` (asked to), ``gone`` (the client), ``lost`` (a node), ``limit``."""
        while True:
            left = min(self.heard + self.patience, self.until) - time.monotonic()
            ready, _, _ = select.select([self.ended, 0], [], [], min(LOOK, max(0.0, left)))
            if self.ended in ready:
                return "ended" if os.read(self.ended, 1) == b"E" else "stop"
            if self.wards.lost():
                return "lost"
            if not ready and left <= 0:
                return "limit" if time.monotonic() >= self.until else "gone"
            if not ready:
                continue
            orders = os.read(0, 4096)
            self.heard = time.monotonic()
            for order, meaning in ((b"K", "stop"), (b"I", "interrupt")):
                if order in orders:
                    return meaning
            if not orders:
                return "gone"


def attend(child: subprocess.Popen[bytes], watch: Watch, job: dict[str, Any]) -> str:
    """See the child through to its end; return why it ended: ``exit``, or the watch's word."""
    reason = "exit"
    while True:
        event = watch.next()
        if event == "ended":
            return reason
        reason = event
        if event != "interrupt" or not signalled(child, signal.SIGINT):
            finish(child, job)
            return reason


def signalled(child: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Send the child a signal; tell whether we may: one that begins with sudo is root's."""
    try:
        child.send_signal(number)
    except PermissionError:
        return False
    return True


def finish(child: subprocess.Popen[bytes], job: dict[str, Any]) -> None:
    """End the child: TERM, which lets mpirun end its ranks; after a grace KILL. Root's ends with what it runs."""
    grace = float(job["grace"])
    if not signalled(child, signal.SIGTERM):
        line = [*WARD, "end", job["id"], str(grace), json.dumps(job["clean"])]
        subprocess.run(line, stdout=subprocess.DEVNULL, check=False)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        signalled(child, signal.SIGKILL)
        child.wait()


class Failed(Exception):
    """The job cannot be run; the text is for people."""


class Allocation:
    """Nodes from Slurm, held by a process that ends when we do, however that happens."""

    SCRIPT = "srun --quiet printenv SLURMD_NODENAME; echo job $SLURM_JOB_ID; exec cat"

    def __init__(self, job: dict[str, Any]) -> None:
        self.child = subprocess.Popen(
            [*job["allocate"], "sh", "-c", self.SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "IM_JOB": job["id"]},
            start_new_session=True,
        )
        self.places: list[str] = []
        self.number = ""

    def granted(self) -> None:
        """Wait until there are nodes, one line for each rank, or never will be."""
        for line in self.child.stdout or ():
            word, _, number = line.decode().strip().partition(" ")
            if number:
                self.number = number
                return
            self.places.append(word)

    def complete(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the job with its nodes."""
        if not self.places:
            raise Failed("Slurm gave the job no nodes")
        ranks = {node: self.places.count(node) for node in sorted(set(self.places))}
        argv = list(job["argv"])
        argv[argv.index(HOSTS)] = ",".join(f"{node}:{count}" for node, count in ranks.items())
        step = ["srun", "--quiet", "--overlap", "--nodes=1", "--ntasks=1", f"--jobid={self.number}", "--nodelist"]
        told = {
            "SLURM_JOB_ID": self.number,
            "SLURM_JOBID": self.number,
            "SLURM_NODELIST": ",".join(ranks),
            "SLURM_TASKS_PER_NODE": ",".join(map(str, ranks.values())),
        }
        if job["enter"]:  # the launcher in the container starts its daemons by us: it must not look for Slurm
            return {**job, "argv": argv, "nodes": list(ranks), "letters": [step, ["sh", "-c"]]}
        return {**job, "argv": argv, "nodes": list(ranks), "env": {**job["env"], **told}}

    def release(self) -> None:
        """Give the nodes back."""
        with contextlib.suppress(OSError):  # it has ended
            if self.child.stdin:
                self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            signalled(self.child, signal.SIGTERM)


@contextlib.contextmanager
def with_nodes(job: dict[str, Any], wards: Wards) -> Iterator[tuple[dict[str, Any], str]]:
    """Hold the nodes that the job wants of Slurm, if it does; give the job with them, or why it shall not run."""
    if not job["allocate"]:
        yield job, ""
        return
    held = Allocation(job)
    try:
        reason = attend(held.child, Watch(held.granted, wards, float(job["patience"])), job)
        if reason == "exit":
            job = held.complete(job)
            wards.watch(job["nodes"])
        yield job, "" if reason == "exit" else reason
    finally:
        held.release()


def run(folder: Path) -> int:
    """Run the job of ``folder``; return the command's exit code, 125 if it could not be started."""
    wanted = json.loads((folder / "job.json").read_text())
    wards = Wards(wanted)
    errors = Errors()
    status: dict[str, Any] = {"code": OUR_FAULT}
    try:
        with with_nodes(wanted, wards) as (job, reason):
            status = {"code": INTERRUPTED, "reason": reason} if reason else launch(folder, job, wards, errors)
    except Failed as failure:
        status["error"] = str(failure)
    finally:
        status["left"] = wards.dismiss()
        errors.finish()
        new = folder / "status.json.new"
        new.write_text(json.dumps(status))
        new.rename(folder / "status.json")
    return int(status["code"])


def launch(folder: Path, job: dict[str, Any], wards: Wards, errors: Errors) -> dict[str, Any]:
    """Start the launcher, deliver its letters, and say how it went."""
    mail = Mail(folder / "mail", job)
    if job["enter"]:
        mail.start()
    status: dict[str, Any] = {}
    try:
        status = perform(job, wards, errors)
    except OSError as error:
        raise Failed(f"cannot start {job['argv'][0]}: {error.strerror}") from error
    finally:
        mail.finish(float(job["grace"]) if status.get("reason") == "exit" else 0)
    return status


def perform(job: dict[str, Any], wards: Wards, errors: Errors) -> dict[str, Any]:
    """Start the command, attend to it, and say how it went."""
    child = subprocess.Popen(
        job["argv"],
        cwd=job["directory"],
        env={**os.environ, **job["env"], "IM_JOB": job["id"]},
        stdin=subprocess.DEVNULL,
        stderr=errors.theirs,
        start_new_session=True,
    )
    errors.start()
    reason = attend(child, Watch(child.wait, wards, float(job["patience"]), float(job["limit"])), job)
    code = child.wait()
    if lost := ", ".join(wards.lost()):
        raise Failed(f"the job has lost node {lost}: it does not answer any more")
    return {"code": code if code >= 0 else 128 - code, "reason": reason}


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
