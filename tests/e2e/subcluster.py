"""A deployed sub-cluster as the end-to-end tests see it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from im.api import LocalManager
from im.config import Settings
from im.data_files import data_folder
from im.plan.model import Cluster, Instance
from im.providers.local import cgroups, machine, network
from im.providers.local.processes import Process
from im.ssh import connection

CLIENT = Path(sys.executable).with_name("im_client")


def mpi_archive(cache: Path, name: str, *programs: Path, **settings: str) -> Path:
    """Return the archive that ``images/mpi/build.sh`` makes of these programs (none: its own) with these settings."""
    archive = cache / "images" / name
    archive.parent.mkdir(exist_ok=True)
    environment = {**os.environ, **settings, "IM_HOME": str(cache.parent)}
    subprocess.run([data_folder("images") / "mpi" / "build.sh", archive, *programs], check=True, env=environment)
    return archive


def first_process(settings: Settings, node: Instance) -> Process:
    """Return the init of a node of provider local."""
    folder = settings.home / "local" / node.infrastructure / "nodes" / node.id
    return Process(**json.loads((folder / "run.json").read_text()))


def restart_machine(settings: Settings, infrastructure: str) -> None:
    """Do what a restart does to one infrastructure: everything in the kernel goes, the disk stays."""
    for file in (settings.home / "local" / infrastructure / "nodes").glob("*/run.json"):
        values = json.loads(file.read_text())
        os.kill(values["pid"], signal.SIGKILL)
        while Process(**values).alive():
            time.sleep(0.01)
        file.write_text(json.dumps({**values, "boot": "an earlier one"}))
    with machine.machine_lock():
        assert network.down(infrastructure) == ()
    while cgroups.remove(cgroups.hierarchies(), infrastructure):
        time.sleep(0.01)


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


class User:
    """Somebody with an account, at a shell of the front-end."""

    def __init__(self, cluster, name, image):
        self.cluster, self.name, self.image = cluster, name, image

    def do(self, script, node="frontend"):
        """Run a script in the user's home; ``$I`` is the image. Return exit code, output and errors."""
        line = ["su", "-", self.name, "-c", "bash -s"]
        text = f"I={self.image}\n{script}\n".encode()
        done = connection.run(self.cluster, self.cluster.node(node), line, user="root", stdin=text, timeout=180)
        return done.status, done.stdout.decode(), done.stderr.decode()

    def start(self, script, options=""):
        """Submit a container whose script touches ``started`` when it runs; return its id."""
        place = "rm -f here/started; mkdir -p here"
        submit = f"im-batch submit {options} -v $HOME/here:/here -w /here $I sh -c '{script}'"
        identifier = self.do(f"{place}; {submit}")[1].strip()
        limit = time.monotonic() + 60
        while self.do("ls here/started")[0]:
            assert time.monotonic() < limit, "the container does not start"
            time.sleep(0.2)
        return identifier

    def record(self, container):
        """Return the record of a container, once there is one."""
        limit = time.monotonic() + 30
        while True:
            found = json.loads(self.do(f"im-batch acct --json {container}")[1])
            if found:
                return found[-1]
            if time.monotonic() > limit:
                raise AssertionError(f"no record was written\n{self.do('im-batch ps --all; squeue --states=all')}")
            time.sleep(0.3)


SECRET = "only-ann-knows-this"
ACCOUNT = base64.b64encode(f"ann:{SECRET}".encode()).decode()
ACCOUNTS = json.dumps({"auths": {"frontend:5000": {"auth": ACCOUNT}}})
"""What ``docker login`` leaves."""
GUARDED = f"""\
python3 -c 'import crypt; print("ann:" + crypt.crypt("{SECRET}", crypt.mksalt(crypt.METHOD_BLOWFISH)))' > /srv/accounts
sed '$a auth: {{htpasswd: {{realm: lab, path: /srv/accounts}}}}' /etc/docker/registry/config.yml > /srv/guarded.yml
"""
SERVE = """\
pkill -x docker-registry
while pgrep -x docker-registry > /dev/null; do sleep 0.1; done
setsid docker-registry serve @ > /dev/null 2>&1 < /dev/null &
until python3 -c 'import socket; socket.create_connection(("frontend", 5000))' 2>&-; do sleep 0.1; done
"""


@contextmanager
def guarded_registry(cluster: SubCluster) -> Iterator[None]:
    """Let the sub-cluster's registry ask for an account, whose secret and form are in ``/srv/secret``."""
    told = f"printf '%s\\n' {SECRET} {ACCOUNT} > /srv/secret\n{GUARDED}{SERVE}"
    cluster.on("frontend", told.replace("@", "/srv/guarded.yml"))
    try:
        yield
    finally:
        cluster.on("frontend", SERVE.replace("@", "/etc/docker/registry/config.yml"))
