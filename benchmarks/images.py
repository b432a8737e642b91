"""How long an image of 300 MB takes to eight nodes, against one: from the sub-cluster's own registry, and an archive.

The image is one layer of random bytes, which no compression makes smaller. Both sides are what ``image pull``
does: for the front-end alone, and for the front-end and seven workers. The image is removed after each; the figure is
the median of the ratios of pairs. All nodes of provider local share this machine's processors, so the seconds that the
nodes used of them are told, too: elsewhere eight machines do that work. ``tar`` is what remains of it if each node does
no more than to unpack the layer from the shared home. ``own`` is the same with each node held to an equal share of the
processors by its control group, whether it works alone or all do, as machines have their own. Prints one JSON object::

    python benchmarks/images.py                           # on a front-end and seven workers that it makes
    python benchmarks/images.py lab 3 docker podman       # on such a sub-cluster that is there; 3 pairs, these engines
"""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from statistics import median

from laboratory import laboratory

from im.api import LocalManager
from im.config import load_settings
from im.jobs.engines import ENGINES
from im.jobs.facts import survey
from im.jobs.images import recognise
from im.jobs.preparation import ensure
from im.plan.model import Cluster, Node
from im.providers.local.cgroups import hierarchies
from im.ssh import connection

WORKERS = 7
FILES, FILE_SIZE = 60, 5_000_000
NAME = "bench/random:1"
OWN = 0.2
"""Processors of each node that are its own: with two, eight nodes leave some to what is not in a node."""
PERIOD = 100_000
"""Microseconds, as provider local sets it."""


def make(archive: Path) -> None:
    """Write an image as ``docker save`` does: one layer of random bytes, and folders as systems have them."""
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        for folder in ("etc", "usr", "data"):
            add(tar, folder, None)
        for number in range(FILES):
            add(tar, f"data/{number}", os.urandom(FILE_SIZE))
    with layer.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2026-01-01T00:00:00Z"}],
    }
    told = json.dumps(config).encode()
    name = f"{sha256(told).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [NAME], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        add(tar, "manifest.json", json.dumps(manifest).encode())
        add(tar, name, told)
        add(tar, digest, None)
        add(tar, f"{digest}/VERSION", b"1.0")
        add(tar, f"{digest}/json", json.dumps({"id": digest}).encode())
        tar.add(layer, f"{digest}/layer.tar")
    layer.unlink()


def add(tar: tarfile.TarFile, name: str, content: bytes | None) -> None:
    """Add a file, or a folder if there is no content."""
    member = tarfile.TarInfo(name)
    member.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    member.mode = 0o755
    member.size = len(content or b"")
    tar.addfile(member, io.BytesIO(content or b""))


@dataclass(frozen=True)
class Lab:
    """A sub-cluster whose nodes get and lose an image."""

    im: LocalManager
    name: str

    @property
    def cluster(self) -> Cluster:
        """The sub-cluster."""
        return self.im.cluster(self.name)

    @property
    def workers(self) -> list[Node]:
        """Its workers."""
        return [node for node in self.cluster.nodes if not node.front_end]

    def keep(self, archive: Path) -> str:
        """Put the image into the sub-cluster's registry; return its name there."""
        cluster = self.cluster
        registry = survey(cluster).registry
        self.im.put(self.name, None, archive, "bench.tar")
        target = f"docker://{registry.partition('://')[2]}/{NAME}"
        copy = shlex.join(["skopeo", "copy", "--dest-tls-verify=false", "docker-archive:bench.tar", target])
        self.on(cluster.front_end, copy)
        return f"{registry}/{NAME}"

    def on(self, node: Node, script: str) -> None:
        """Run a script on a node."""
        done = connection.run(self.cluster, node, ["sh", "-c", script], user=self.cluster.user, timeout=600)
        if done.status:
            raise SystemExit(done.stderr.decode())

    def unpack(self, workers: int) -> tuple[float, float]:
        """Let ``tar`` unpack the layer on the front-end and so many workers, as :meth:`pull` does with an image."""
        nodes = (self.cluster.front_end, *self.workers[:workers])
        script = "mkdir /var/tmp/bench && tar -xOf bench.tar --wildcards '*/layer.tar' | tar -xf - -C /var/tmp/bench"
        before, begun = self.used(), time.monotonic()
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(lambda node: self.on(node, script), nodes))
        took = time.monotonic() - begun
        used = self.used() - before
        for node in nodes:
            self.on(node, "rm -r /var/tmp/bench")
        return took, used

    def pull(self, reference: str, engine: str, workers: int) -> tuple[float, float]:
        """Make the image ready on the front-end and so many workers; return seconds, and processor seconds of all."""
        cluster = self.cluster
        nodes = tuple(node.name for node in self.workers[:workers])
        image = recognise(reference)
        before, begun = self.used(), time.monotonic()
        ensure(cluster, survey(cluster), ENGINES[engine], image, nodes=nodes, emit=lambda _event: None)
        took = time.monotonic() - begun
        used = self.used() - before
        self.im.remove_image(self.name, reference, engine)
        return took, used

    def hold(self, processors: float) -> None:
        """Let each node use no more than so many processors; 0: as many as there are."""
        for one in hierarchies():
            group = one.mount / f"im-{self.cluster.infrastructure}"
            for node in self.cluster.nodes if "cpu" in one.controllers else ():
                quota = round(processors * PERIOD)
                if one.version == 1:
                    (group / node.id / "cpu.cfs_quota_us").write_text(str(quota or -1))
                else:
                    (group / node.id / "cpu.max").write_text(f"{quota or 'max'} {PERIOD}")

    def used(self) -> float:
        """Return the processor seconds that all nodes used so far."""
        group = f"im-{self.cluster.infrastructure}"
        for one in hierarchies():
            if "cpuacct" in one.controllers:
                return int((one.mount / group / "cpuacct.usage").read_text()) / 1e9
            if one.version == 2 and "cpu" in one.controllers:
                return int((one.mount / group / "cpu.stat").read_text().split()[1]) / 1e6
        raise SystemExit("no control group counts processor time here")


def held(lab: Lab, distribute: Callable[[int], tuple[float, float]], workers: int) -> tuple[float, float]:
    """Distribute with each node held to its share."""
    lab.hold(OWN)
    try:
        return distribute(workers)
    finally:
        lab.hold(0)


def measure(distribute: Callable[[int], tuple[float, float]], pairs: int) -> dict[str, object]:
    """Distribute in turn to one node and to all; return seconds, ratios and processor seconds."""
    runs = [(distribute(0), distribute(WORKERS)) for _ in range(pairs)]
    ratios = [many / one for (one, _), (many, _) in runs]
    return {
        "one_s": round(median(one for (one, _), _ in runs), 1),
        "eight_s": round(median(many for _, (many, _) in runs), 1),
        "ratio": [round(of(ratios), 2) for of in (median, min, max)],
        "cpu_one_s": round(median(used for (_, used), _ in runs), 1),
        "cpu_eight_s": round(median(used for _, (_, used) in runs), 1),
    }


def main(words: Sequence[str]) -> dict[str, object]:
    """Measure."""
    pairs, engines = int(words[1]) if len(words) > 1 else 3, words[2:] or tuple(ENGINES)
    with (
        LocalManager(load_settings()) as im,
        laboratory(im, words[0] if words else "", "bench-images", counts={"worker": WORKERS}) as name,
        tempfile.TemporaryDirectory() as folder,
    ):
        lab, archive = Lab(im, name), Path(folder) / "random.tar"
        make(archive)
        sources = {"registry": lab.keep(archive), "archive": str(archive)}
        cases = {"tar": lab.unpack} | {
            f"{engine}, {source}": partial(lab.pull, reference, engine)
            for engine in engines
            for source, reference in sources.items()
        }
        cases |= {f"{case}, own": partial(held, lab, distribute) for case, distribute in cases.items()}
        found: dict[str, object] = {"load": os.getloadavg()}
        for case, distribute in cases.items():
            found[case] = measure(distribute, pairs)
            print(case, json.dumps(found[case]), file=sys.stderr, flush=True)
        lab.on(lab.cluster.front_end, "rm bench.tar")
        return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), indent=2))
