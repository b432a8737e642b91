"""A scan of points that do nothing: what a point costs, against GNU parallel on the same nodes.

GNU parallel gets half of the points on each node, so that it needs no ssh between them, and keeps a job log and the
output of each job, as a scan does. It runs `true` on the bare node, the scan in udocker. Also the memory of the client
that starts the scan. Where the sub-cluster has Slurm, the scan is a job array, and what an array with a job for each
point would take is measured besides. Prints one JSON object::

    python benchmarks/sweep.py                         # 10,000 points on 1 + 2 nodes that it makes
    python benchmarks/sweep.py 1000 lab mpi.tar        # on a sub-cluster that is there (its nodes get GNU parallel)
"""

from __future__ import annotations

import json
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from laboratory import laboratory

from im.api import LocalManager
from im.config import load_settings
from im.data_files import data_folder
from im.jobs.facts import survey
from im.jobs.sweep import client
from im.jobs.sweep.request import Sweep
from im.ssh import connection

TEMPLATE, INPUTS = data_folder("tosca_templates") / "mpi_cluster.yaml", ("workers=2", "worker_cpus=2")
PAIRS = 3
JOBS = 40
"""Points that get a job of Slurm each."""
PARALLEL = "parallel --will-cite -j {slots} --joblog log --results out true {{}} > /dev/null"


def built(folder: Path) -> str:
    """Make the small MPI image; the second time it comes from the cache."""
    archive = folder / "mpi.tar"
    subprocess.run([data_folder("images") / "mpi" / "build.sh", archive], check=True, stdout=sys.stderr)
    return str(archive)


def run(im: LocalManager, name: str, script: str, *, root: bool = False) -> str:
    """Run a script on the front-end."""
    cluster = im.cluster(name)
    user = "root" if root else cluster.user
    done = connection.run(cluster, cluster.front_end, ["bash", "-c", script], user=user, timeout=7200)
    assert done.status == 0, done.stderr.decode()
    return done.stdout.decode()


def parallel(im: LocalManager, name: str, number: int) -> float:
    """Run the points by GNU parallel on all nodes at once; return how long that took."""
    workers = [node for node in im.cluster(name).nodes if node.slots]
    lines = []
    for i, node in enumerate(workers):
        work = f"seq {i} {len(workers)} {number - 1} | {PARALLEL.format(slots=node.slots)}"
        lines.append(f"ssh {node.name} 'cd $(mktemp -d) && {work}' &")
    started = time.monotonic()
    run(im, name, "\n".join([*lines, "wait"]))
    return time.monotonic() - started


def scan(im: LocalManager, name: str, image: str, points: Path) -> tuple[float, float]:
    """Run a scan; return how long its workers were at it, and how long the client took to start it."""
    sweep = Sweep(image=image, words=("true", "{a}"))
    begun = time.monotonic()
    im.sweep_start(name, sweep, points)
    submitted = time.monotonic() - begun
    known = client.follow(im.cluster(name), sweep.identifier, emit=lambda _event: None)
    assert client.successful(known), known
    ask = (
        "import json,glob,os; p=os.path.expanduser('~/sweeps/%s/attempts/1/'); "
        "print(max(json.loads(l)['at'] for f in glob.glob(p+'results*') for l in open(f))"
        "-os.stat(p+'batches.json').st_mtime)"
    )
    took = float(run(im, name, shlex.join(["python3", "-c", ask % sweep.identifier])))
    run(im, name, f"rm -rf ~/sweeps/{sweep.identifier}")
    return took, submitted


def array(im: LocalManager, name: str) -> float:
    """Run points as an array of Slurm, a job for each; return how long that took."""
    started = time.monotonic()
    submit = f"sbatch --parsable --array=0-{JOBS - 1} --output=/dev/null --wrap true"
    run(im, name, f'job=$({submit}); while [ "$(squeue --noheader --jobs $job)" ]; do sleep 0.1; done')
    return time.monotonic() - started


def main(words: list[str]) -> dict[str, object]:
    """Measure pairs, interleaved."""
    number, existing = int(words[0]) if words else 10_000, words[1] if len(words) > 1 else ""
    with LocalManager(load_settings()) as im, tempfile.TemporaryDirectory() as folder:
        points = Path(folder) / "points.csv"
        points.write_text("a\n" + "".join(f"{i}\n" for i in range(number)))
        image = words[2] if len(words) > 2 else built(Path(folder))
        few = Path(folder) / "few.csv"
        few.write_text("a\n1\n")
        with laboratory(im, existing, "bench-sweep", template=TEMPLATE, inputs=INPUTS) as name:
            for node in im.cluster(name).nodes:
                install = ["sh", "-c", "command -v parallel || apt-get -qq -y install parallel"]
                connection.run(im.cluster(name), node, install, user="root", timeout=600)
            scan(im, name, image, few)
            jobs = [array(im, name) for _ in range(PAIRS)] if survey(im.cluster(name)).slurm else []
            pairs = []
            for _ in range(PAIRS):
                theirs = parallel(im, name, number)
                ours, submitted = scan(im, name, image, points)
                pairs.append((theirs, ours, submitted))
                print(f"parallel {theirs:.1f} s, scan {ours:.1f} s", file=sys.stderr, flush=True)
    return {
        "points": number,
        "parallel_ms_per_point": round(median(pair[0] for pair in pairs) / number * 1e3, 2),
        "scan_ms_per_point": round(median(pair[1] for pair in pairs) / number * 1e3, 2),
        **({"job_ms_per_point": round(median(jobs) / JOBS * 1e3)} if jobs else {}),
        "ratio": round(median(pair[1] / pair[0] for pair in pairs), 2),
        "ratios": [round(pair[1] / pair[0], 2) for pair in pairs],
        "client_start_s": round(median(pair[2] for pair in pairs), 2),
        "client_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), indent=2))
