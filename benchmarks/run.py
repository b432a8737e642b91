"""All benchmarks, one after the other: ``make bench``.

``IM_BENCH_OPENSTACK`` holds the words for ``on_openstack.py``, such as ``stack fake tiny-fake m1.nano 16 64``; without
it that one is left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    for name in ("topology", "control_plane", "deploy", "sweep", "mpi", "images"):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, HERE / f"{name}.py"], check=True)
    if words := os.environ.get("IM_BENCH_OPENSTACK", "").split():
        print("== on_openstack", flush=True)
        subprocess.run([sys.executable, HERE / "on_openstack.py", *words], check=True)
