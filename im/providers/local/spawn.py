"""The helper process that makes nodes: one per ``create``, whatever the number of nodes. Standard library only.

Run by :func:`run_spawner` as a process of its own, because only a small process without threads can fork safely. Per
node it forks a *stage* (joins the cgroups, leaves for new namespaces, configures the link) which forks the node's first
process. That one waits until its process id is written down: a spawner that is killed leaves no process behind that
nobody knows of.

Links are made by one ``ip -batch`` for all nodes: importing pyroute2 here would cost more than all the rest.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from im.providers.local import linux
from im.providers.local.files import write_atomically
from im.providers.local.processes import identify
from im.providers.local.rootfs import Root, become_init

RUN_FILE = "run.json"
ERROR_FILE = "error.txt"
CONSOLE_FILE = "console.log"

_BOOTSTRAP = "import sys; sys.path.insert(0, sys.argv.pop()); from im.providers.local.spawn import main; main()"
_SAYS, _HEARS = 900, 901
"""Descriptors of a child: what it says to the spawner, what it hears from it."""

_FLAGS = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWCGROUP
)


@dataclass(frozen=True)
class Job:
    """One node to be started. ``cgroups``: the ``cgroup.procs`` files it joins."""

    root: Root
    link: str
    mac: str
    address: str
    netmask: str
    router: str
    cgroups: tuple[str, ...]


@dataclass
class _Stage:
    """A forked stage as the spawner sees it."""

    job: Job
    pid: int
    says: int
    hears: int
    error: str = ""


def run_spawner(namespace: str, jobs: Sequence[Job], lock: int) -> None:
    """Start nodes with their links in this gateway namespace; returns when each runs or has its error written down.

    Raises ``ChildProcessError`` when the helper itself fails.
    ``lock`` is a locked file descriptor: the helper keeps it, so that nobody interferes if this process dies meanwhile.
    """
    plan = {"namespace": namespace, "lock": lock, "jobs": [asdict(job) for job in jobs]}
    package_root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, package_root],
        input=json.dumps(plan).encode(),
        capture_output=True,
        pass_fds=(lock,),
        check=False,
        start_new_session=True,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ChildProcessError(f"the process that makes nodes ended with {done.returncode}: {last}")


def main() -> None:
    """Read the plan from standard input and start its nodes."""
    plan = json.load(sys.stdin)
    os.umask(0o022)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1024), hard))
    stages = [_fork_stage(_job(values)) for values in plan["jobs"]]
    for stage in stages:
        _expect(stage, b"R")
    complaints = _make_links(plan["namespace"], [stage for stage in stages if not stage.error])
    for stage in stages:
        _tell(stage, b"N")
    for stage in stages:
        _let_go(stage)
    for stage in stages:
        _conclude(stage, complaints)


def _job(values: Mapping[str, object]) -> Job:
    fields = dict(values)
    root = fields.pop("root")
    assert isinstance(root, dict)  # noqa: S101 -- made by run_spawner above
    pairs = {name: tuple(tuple(item) for item in root[name]) for name in ("shared", "cgroups", "links")}
    return Job(root=Root(**{**root, **pairs}), **fields)  # type: ignore[arg-type]


def _fork_stage(job: Job) -> _Stage:
    says_read, says_write = os.pipe()
    hears_read, hears_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _as_child(_stage, job, says_write, hears_read)
    os.close(says_write)
    os.close(hears_read)
    return _Stage(job, pid, says_read, hears_write)


def _as_child(work: Callable[[Job, int, int], None], job: Job, says: int, hears: int) -> NoReturn:
    """Do a child's work; say what went wrong; never return to the parent's code."""
    try:
        work(job, says, hears)
    except BaseException as error:  # noqa: BLE001 -- a forked child must not unwind into its parent's stack
        os.write(_SAYS, b"E" + str(error).encode())
    finally:
        os._exit(0)


def _stage(job: Job, says: int, hears: int) -> None:
    """Join the cgroups, leave for new namespaces, configure the link, fork the node's first process."""
    _keep_only(job, says, hears)
    for file in job.cgroups:
        Path(file).write_text("0")
    os.setsid()
    linux.unshare(_FLAGS)
    os.write(_SAYS, b"R")
    if os.read(_HEARS, 1) != b"N":
        return
    linux.configure_link("lo")
    linux.configure_link("eth0", job.address, job.netmask, job.router)
    pid = os.fork()
    if pid == 0:
        _as_child(_first_process, job, _SAYS, _HEARS)
    os.write(_SAYS, b"P%d" % pid)


def _first_process(job: Job, _says: int, hears: int) -> None:
    if os.read(hears, 1) == b"G":
        become_init(job.root)


def _keep_only(job: Job, says: int, hears: int) -> None:
    """Move the two pipes to fixed numbers and the console to 1 and 2; close everything else."""
    os.dup2(says, _SAYS, inheritable=False)
    os.dup2(hears, _HEARS, inheritable=False)
    null = os.open("/dev/null", os.O_RDONLY)
    console = os.open(f"{job.root.folder}/{CONSOLE_FILE}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (console, 1), (console, 2)):
        os.dup2(source, target)
    os.closerange(3, _SAYS)
    os.closerange(_HEARS + 1, os.sysconf("SC_OPEN_MAX"))


def _tell(stage: _Stage, word: bytes) -> None:
    """Say a word to a stage that may be gone: then its pipe has the reason."""
    if not stage.error:
        with suppress(BrokenPipeError):
            os.write(stage.hears, word)


def _expect(stage: _Stage, word: bytes) -> str:
    """Wait for a stage's word and return what follows it; note the error if it says something else."""
    if stage.error:
        return ""
    answer = os.read(stage.says, 4096)
    if answer.startswith(word):
        return answer[1:].decode()
    stage.error = answer[1:].decode(errors="replace") or "its first process ended before it could say why"
    return ""


def _make_links(namespace: str, stages: Sequence[_Stage]) -> str:
    """Make all links in one go; return what ``ip`` complained about."""
    lines = [f"link del {stage.job.link}" for stage in stages]
    lines += [
        f"link add {stage.job.link} master br0 up type veth peer name eth0 address {stage.job.mac} netns {stage.pid}"
        for stage in stages
    ]
    done = subprocess.run(
        ["nsenter", f"--net={namespace}", "--", "ip", "-force", "-batch", "-"],
        input="\n".join([*lines, ""]).encode(),
        capture_output=True,
        check=False,
    )
    complaints = done.stderr.decode(errors="replace").splitlines()
    return "; ".join(line for line in complaints if "Cannot find device" not in line and "Command failed" not in line)


def _let_go(stage: _Stage) -> None:
    """Write down the first process before it may go on."""
    pid = _expect(stage, b"P")
    os.waitpid(stage.pid, 0)
    if not stage.error:
        write_atomically(Path(stage.job.root.folder, RUN_FILE), json.dumps(asdict(identify(int(pid)))))
        _tell(stage, b"G")


def _conclude(stage: _Stage, complaints: str) -> None:
    """Wait until the first process has become the init (its pipe closes), or note why it could not."""
    if not stage.error and (answer := os.read(stage.says, 4096)):
        stage.error = answer[1:].decode(errors="replace")
    if stage.error:
        text = "; ".join(filter(None, (stage.error, complaints)))
        write_atomically(Path(stage.job.root.folder, ERROR_FILE), text)
