"""What the control plane costs: 10 and 1,000 nodes on a fake cloud, in real time.

The fake cloud takes 200 ms for each call and 30 s to boot a server; the contextualization does nothing. A perfect
client would need the same time for 1,000 nodes as for 10. Prints one JSON object::

    python benchmarks/control_plane.py            # 10 and 1,000 nodes, about 80 s
    python benchmarks/control_plane.py 10 100
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from im.config import Settings
from im.engine.operations import Engine
from im.plan.model import InfrastructureState
from im.providers.fake import Behaviour, FakeContextualizer, FakeProvider
from im.store.repository import Store
from im.topology.model import NodeGroup, Topology

CLOUD = Behaviour(latency=0.2, build_time=20.0, boot_time=10.0)


def measure(workers: int) -> dict[str, float]:
    """Deploy, deploy again, delete; returns seconds, calls and megabytes of this process."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        provider = FakeProvider(settings, behaviour=CLOUD)
        store = Store(settings.home / "im.db")
        engine = Engine(store, provider, FakeContextualizer(provider), settings, lambda _event: None)
        groups = (NodeGroup("front_end", front_end=True, works=False), NodeGroup("worker", count=workers - 1))
        started = time.monotonic()
        record = engine.deploy("bench", "fake", Topology(groups=groups))
        ready = time.monotonic()
        assert record.state is InfrastructureState.READY
        assert len(record.nodes) == workers
        listings = provider.calls["list"]
        engine.deploy("bench", "fake", Topology(groups=groups))
        again = time.monotonic()
        engine.delete("bench")
        deleted = time.monotonic()
        assert provider.servers() == ()
        store.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "nodes": workers,
        "ready_s": round(ready - started, 2),
        "no_change_s": round(again - ready, 2),
        "delete_s": round(deleted - again, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "listings": listings,
        "rss_mib": round(usage.ru_maxrss / 1024, 1),
    }


def main(sizes: list[int]) -> None:
    """Measure each size in a process of its own, and print the ratio of the last to the first."""
    runs = []
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    ratio = round(runs[-1]["ready_s"] / runs[0]["ready_s"], 3)
    print(json.dumps({"runs": runs, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or [10, 1000])
