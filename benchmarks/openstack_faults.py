"""Deployments through a cloud that misbehaves: a proxy in front of the APIs spoils one call in ten.

``python benchmarks/openstack_faults.py CLOUD ZONE IMAGE FLAVOR [TIMES]`` deploys 1+4 servers and deletes them, TIMES
times, and prints how each ended, and what the project has left that it did not have before. A spoiled call is answered
with 500, 503 or 429 before or after it took effect, cut off, or held up for five seconds.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from on_openstack import TEMPLATE
from openstack.config import OpenStackConfig

SHARE = 0.1
FAULTS = ("500 before", "500 after", "503 before", "503 after", "429 before", "cut before", "cut after", "delay")
SERVICES = ("compute", "network", "image", "block-storage")
WORKERS = 4
CLIENT = str(Path(sys.executable).with_name("im_client"))


class Proxy(ThreadingHTTPServer):
    """Hands requests for ``/SERVICE/…`` on to the service, or does not."""

    daemon_threads = True

    def __init__(self, upstream: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.chance = random.Random(7)
        self.faults: Counter[str] = Counter()
        self.calls = 0
        self.quiet = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fault(self) -> str:
        """Draw what happens to the next call."""
        self.calls += 1
        if self.quiet or self.chance.random() >= SHARE:
            return ""
        found = self.chance.choice(FAULTS)
        self.faults[found] += 1
        return found


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def respond(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, _, when = self.server.fault().partition(" ")
        if kind == "delay":
            time.sleep(5)
        if not kind or kind == "delay":
            self.send(*self.forward(body))
            return
        if when == "after":
            self.forward(body)
        if kind == "cut":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send(int(kind), {"Retry-After": "1"} if kind == "429" else {}, b'{"error": {"message": "by the proxy"}}')

    do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 -- http.server's names

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask the real service."""
        service, _, path = self.path.lstrip("/").partition("/")
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        request = urllib.request.Request(
            f"{self.server.upstream[service]}/{path}", body or None, kept, method=self.command
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, dict(answer.headers), answer.read()

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Answer the client."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "server", "date"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        with suppress(OSError):  # the client has lost its patience
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def listing(cloud: str) -> set[tuple[str, str, str]]:
    """Return everything of the project: kind, id and name."""
    import openstack

    conn = openstack.connect(cloud=cloud)
    found: set[tuple[str, str, str]] = set()
    for kind in ("networks", "subnets", "routers", "ports", "security-groups", "floatingips"):
        shown = conn.network.get(f"/{kind}").json()[kind.replace("-", "_")]
        found |= {(kind, one["id"], f"{one.get('name')} {one.get('description')}") for one in shown}
    for kind in ("servers", "os-server-groups"):
        shown = conn.compute.get(f"/{kind}").json()[kind.removeprefix("os-").replace("-", "_")]
        found |= {(kind, one["id"], one["name"]) for one in shown}
    return found


def run(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run the client; return its code and the last line that it said."""
    done = subprocess.run([CLIENT, *words], env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and "next:" not in line]
    return done.returncode, next((line for line in lines if "error" in line), lines[-1] if lines else "")


def identity(name: str, environment: dict[str, str]) -> str:
    """Return the id of an infrastructure, which all its objects carry."""
    shown = subprocess.run([CLIENT, "list", "--json"], env=environment, capture_output=True, text=True, check=True)
    return next(one["id"] for one in json.loads(shown.stdout) if one["name"] == name)


def main(cloud: str, zone: str, image: str, flavor: str, times: int) -> None:
    """Deploy and delete, and count."""
    region = OpenStackConfig().get_one(cloud=cloud)
    session = region.get_session()
    upstream = {name: str(session.get_endpoint(service_type=name, interface="public")).rstrip("/") for name in SERVICES}
    proxy = Proxy(upstream)
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder:
        home = Path(folder)
        entry: dict[str, Any] = {"auth": dict(region.config["auth"]), "region_name": region.region_name}
        for name in SERVICES:
            entry[f"{name.replace('-', '_')}_endpoint_override"] = f"http://127.0.0.1:{proxy.server_port}/{name}"
        (home / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"spoiled": entry}}))
        (home / "t.yaml").write_text(TEMPLATE.format(zone=zone, image=image, flavor=flavor))
        there = {"OS_CLIENT_CONFIG_FILE": str(home / "clouds.yaml"), "IM_HOME": str(home / "home")}
        environment = {**os.environ, **there}
        ended: Counter[str] = Counter()
        left = 0
        for number in range(1, times + 1):
            before = listing(cloud)
            name = f"faults-{os.getpid()}-{number}"
            began = time.monotonic()
            words = ["deploy", str(home / "t.yaml"), "--name", name, "--cloud", "spoiled", "--until", "provisioned"]
            code, said = run([*words, "--input", f"workers={WORKERS}"], environment)
            middle = time.monotonic()
            mark = identity(name, environment)
            gone, why = run(["delete", name, "--yes"], environment)
            kept = sorted(one for one in listing(cloud) - before if mark in one[2])
            ended["provisioned" if code == 0 else f"named: {said}"] += 1
            left += len(kept)
            took = f"{middle - began:.0f} s, delete {time.monotonic() - middle:.0f} s"
            ending = f"delete {why}" if gone else "deleted"
            print(
                f"{number}: {said if code else 'provisioned'} ({took}); {ending}; left: {kept or 'nothing'}", flush=True
            )
    print(f"{times} deployments: {dict(ended)}; {left} objects left")
    print(f"{proxy.calls} calls, {proxy.faults.total()} spoiled: {json.dumps(proxy.faults)}")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit("give a cloud, a zone, an image and a flavor, such as: stack fake tiny-fake m1.nano")
    main(*sys.argv[1:5], int((sys.argv[5:] or ["20"])[0]))
