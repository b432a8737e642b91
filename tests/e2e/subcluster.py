"""A deployed sub-cluster as the end-to-end tests see it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from im.api import LocalManager
from im.config import Settings
from im.plan.model import Cluster
from im.ssh import connection

CLIENT = Path(sys.executable).with_name("im_client")


@dataclass(frozen=True)
class SubCluster:
    """A deployed sub-cluster, and the two ways to it: the library and the command line."""

    name: str
    settings: Settings

    @property
    def cluster(self) -> Cluster:
        with LocalManager(self.settings) as im:
            return im.cluster(self.name)

    def client(self, *words: str | Path, **options: object) -> subprocess.Popen[str]:
        """Start ``im_client`` with pipes for its output."""
        return self._start([str(CLIENT), *map(str, words)], **options)

    def python(self, script: str) -> subprocess.Popen[str]:
        """Start a Python script that uses the library in this sub-cluster's home."""
        return self._start([sys.executable, "-c", script])

    def _start(self, line: Sequence[str], **options: object) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "IM_HOME": str(self.settings.home)}
        return subprocess.Popen(line, env=environment, **{**pipes, **options})

    def on(self, node: str, script: str, user: str = "root") -> str:
        """Run a shell script on a node and return what it printed."""
        cluster = self.cluster
        done = connection.run(cluster, cluster.node(node), ["sh", "-c", script], user=user)
        return done.stdout.decode()

    def left_over(self, cluster: Cluster | None = None) -> list[str]:
        """Return the processes of the cluster's user on all nodes, but for SSH's own."""
        cluster = cluster or self.cluster
        script = f"ps -u {cluster.user} -o comm=,args= | grep -v '^sshd'"
        found = []
        for node in cluster.nodes:
            done = connection.run(cluster, node, ["sh", "-c", script], user="root")
            found += [f"{node.name}: {line}" for line in done.stdout.decode().splitlines()]
        return found
