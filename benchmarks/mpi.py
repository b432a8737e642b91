"""What containers cost an MPI program: latency, bandwidth and allreduce in each engine, against the same programs bare.

Two ranks on two nodes, two on one node (shared memory), and four on both: NetPIPE for latency and bandwidth, and
``allreduce.c`` of this folder. The runs in containers are the command line of ``im_client mpi run``, the bare ones the
same ``mpirun`` without the container's words; they are short and interleaved, and each figure is the ratio of their
medians, with that of the fastest run of each side beside it: what else the machine does adds to a run, and never takes
from it. Bare runs twice in each turn: by how much the ratio of the two is not 1 is chance. Two nodes have a processor
each, as machines do: which one a rank is on would matter more than its engine. Then what ``im_client mpi run`` as a
whole takes for a program that does nothing, against its own command line alone. Prints one JSON object::

    python benchmarks/mpi.py                            # on a front-end that works and one worker, with every engine
    python benchmarks/mpi.py lab 9 podman udocker       # on a sub-cluster that is there; 9 runs, these engines
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from laboratory import laboratory

from im.api import LocalManager
from im.config import load_settings
from im.data_files import data_folder
from im.jobs.command import command_line
from im.jobs.engines import ENGINES
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.launch import MpiJob, decide
from im.jobs.placement import Share
from im.plan.model import Cluster
from im.providers.local.cgroups import hierarchies, processes
from im.ssh import connection

HERE = Path(__file__).resolve().parent
CLIENT = Path(sys.executable).with_name("im_client")
ALL = ("docker", "podman", "lxc", "udocker")
PROGRAMS = {"NPopenmpi": "./usr/bin/NPopenmpi", "allreduce": "./usr/local/bin/allreduce"}


def netpipe(size: int, turns: int) -> tuple[str, ...]:
    """Return NetPIPE's command line for messages of one size."""
    return ("NPopenmpi", "-l", str(size), "-u", str(size + 1), "-n", str(turns), "-p", "0", "-o", "netpipe")


CASES = {
    "latency, two nodes": ((1, 1), netpipe(8, 5_000)),
    "1 MiB, two nodes": ((1, 1), netpipe(1 << 20, 100)),
    "latency, one node": ((2,), netpipe(8, 200_000)),
    "1 MiB, one node": ((2,), netpipe(1 << 20, 1_000)),
    "allreduce 8 B, 4 ranks": ((2, 2), ("allreduce", "8", "20000")),
    "allreduce 64 KiB, 4 ranks": ((2, 2), ("allreduce", "65536", "5000")),
}
"""Ranks on each node, and the program, which takes a second or two: the pace of a machine changes from one to the next.

NetPIPE makes seven trials, of which the best counts."""
AGAIN = "bare, again"
LAUNCHES = 7
PROCESSORS = 2
YIELD = "OMPI_MCA_mpi_yield_when_idle=1 "
"""More ranks than processors: those that wait give way to the others."""


@dataclass(frozen=True)
class Lab:
    """A sub-cluster with the image on it, and the image's programs in the home."""

    im: LocalManager
    name: str
    image: Path

    @property
    def cluster(self) -> Cluster:
        """The sub-cluster."""
        return self.im.cluster(self.name)

    def shell(self, script: str) -> str:
        """Run a script on the front-end."""
        text = f"export IM_JOB=bench; cd /tmp; rm -f netpipe\n{script}"
        cluster = self.cluster
        done = connection.run(cluster, cluster.front_end, ["bash", "-c", text], user=cluster.user, timeout=600)
        if done.status:
            raise SystemExit(f"{script}\nexit code {done.status}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode()

    def clean(self, engine: str) -> None:
        """Remove what a run of ours has left on the nodes, as the wards of a job do."""
        for node in self.cluster.nodes if engine in ENGINES else ():
            connection.run(self.cluster, node, ENGINES[engine].clean("bench"), user=self.cluster.user)

    def line(self, engine: str, ranks: Sequence[int], argv: Sequence[str]) -> str:
        """Return a job's command line, bare if engine is "", with so many ranks on each of the first nodes."""
        cluster, facts = self.cluster, survey(self.cluster)
        nodes = [node.name for node in cluster.nodes if node.slots]
        chosen = engine or facts.engines[0]
        job = MpiJob(sum(ranks), str(self.image), tuple(argv), engine=chosen, folder="/tmp", identifier="bench")
        launch = replace(
            decide(cluster, job, facts, recognise(job.image).container), shares=tuple(map(Share, nodes, ranks))
        )
        line = command_line(launch)
        if not engine:
            container = len(launch.engine.run(launch.inside)) + len(argv)
            line = (*line[:-container], f"/home/{cluster.user}/bench/{argv[0]}", *argv[1:])
        return YIELD + shlex.join(line) if job.ranks > PROCESSORS else shlex.join(line)

    def give_processors(self, *, own: bool) -> None:
        """Let each node have one of the processors, or all of them all: what its daemons start inherits it."""
        everything = sorted(os.sched_getaffinity(0))
        for number, node in enumerate(self.cluster.nodes):
            mine = {everything[number % len(everything)]} if own else set(everything)
            for process in processes(hierarchies(), self.cluster.infrastructure, node.id):
                for thread in Path(f"/proc/{process}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), mine)


def install(im: LocalManager, name: str, folder: Path, engines: Sequence[str]) -> Lab:
    """Make the image, and bring it and its programs to the sub-cluster."""
    image, bare = folder / "netpipe.tar", folder / "bare"
    sources = data_folder("images") / "mpi" / "mpi_hello.c", HERE / "allreduce.c"
    environment = {**os.environ, "PACKAGES": "netpipe-openmpi", "IM_HOME": str(im.settings.home)}
    subprocess.run([data_folder("images") / "mpi" / "build.sh", image, *sources], check=True, env=environment)
    with tarfile.open(image) as archive:
        for program, path in PROGRAMS.items():
            archive.extract(archive.getmember(path).replace(name=program, deep=False), bare, filter="data")
    im.put(name, None, bare, "bench")
    for engine in engines:
        im.pull_image(name, str(image), engine)
    return Lab(im, name, image)


def microseconds(said: str) -> float:
    """Return what a program measured: NetPIPE's last column is seconds, ours is microseconds."""
    words = said.split()
    return float(words[-1]) * (1e6 if len(words) > 1 else 1)


def measure(lab: Lab, engines: Sequence[str], number: int) -> dict[str, object]:
    """Run all cases bare and in all engines, in turn, forwards and backwards.

    Return per case the bare runs' median, and of each engine, and bare once more, the ratios of medians and of minima.
    """
    found = {}
    for case, (ranks, argv) in CASES.items():
        last = " > /dev/null && tail -n 1 netpipe" if argv[0] == "NPopenmpi" else ""
        lines = {engine: lab.line(engine, ranks, argv) + last for engine in ("", *engines)}
        lines[AGAIN] = lines[""]
        took: dict[str, list[float]] = {engine: [] for engine in lines}
        lab.give_processors(own=len(ranks) > 1)
        for turn in range(number):
            for engine in reversed(lines) if turn % 2 else lines:
                took[engine].append(microseconds(lab.shell(lines[engine])))
                lab.clean(engine)
        bare = took.pop("")
        found[case] = {"bare_us": round(median(bare), 2)} | {
            engine: [round(of(times) / of(bare), 2) for of in (median, min)] for engine, times in took.items()
        }
        print(case, json.dumps(found[case]), file=sys.stderr, flush=True)
    lab.give_processors(own=False)
    return found


def launching(lab: Lab, engine: str, pairs: int) -> dict[str, float]:
    """Compare ``im_client mpi run`` with its own ``mpirun`` alone, for a program that does nothing."""
    line = lab.line(engine, (2, 2), ("true",))
    words = [CLIENT, "mpi", "run", lab.name, "-n", "4", "--engine", engine, "--image", lab.image, "--", "true"]
    runs = []
    for _ in range(pairs):
        plain = float(lab.shell(f"s=$EPOCHREALTIME; {line}; echo $EPOCHREALTIME $s | awk '{{print $1 - $2}}'"))
        lab.clean(engine)
        begun = time.monotonic()
        subprocess.run(words, check=True, capture_output=True)
        runs.append((plain, time.monotonic() - begun))
    return {
        "mpirun_s": round(median(plain for plain, _ in runs), 2),
        "im_client_s": round(median(whole for _, whole in runs), 2),
        "above_110_percent_s": round(median(whole - 1.1 * plain for plain, whole in runs), 2),
    }


def main(words: Sequence[str]) -> dict[str, object]:
    """Measure."""
    number, engines = int(words[1]) if len(words) > 1 else 9, words[2:] or ALL
    with (
        LocalManager(load_settings()) as im,
        laboratory(im, words[0] if words else "", "bench-mpi") as name,
        tempfile.TemporaryDirectory() as folder,
    ):
        lab = install(im, name, Path(folder), engines)
        return {
            "load": os.getloadavg(),
            "udocker": survey(lab.cluster).modes.get("udocker", ""),
            "ratios": measure(lab, engines, number),
            "launch": {engine: launching(lab, engine, LAUNCHES) for engine in engines},
        }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), indent=2))
