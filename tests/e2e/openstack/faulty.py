"""A proxy in front of the cloud's APIs that misbehaves as clouds do, counts calls, and may tell a test of each."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("500", "503", "503 retry-after", "429", "reset before", "reset after", "slow")
SLOW = 5.0
KEPT = {"connection", "content-length", "transfer-encoding", "date", "server"}


@dataclass
class Behaviour:
    """What the proxy does: ``share`` of all calls get one of :data:`FAULTS`; ``told`` is called for every call."""

    share: float = 0.0
    seed: int = 1
    told: Callable[[int, str, str], None] = lambda number, method, path: None
    calls: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def choose(self, service: str, method: str) -> tuple[int, str]:
        """Count a call; return its number and the fault it gets, or ""."""
        with self._lock:
            self.calls[f"{service} {method}"] += 1
            fault = self._random.choice(FAULTS) if self._random.random() < self.share else ""
            if fault:
                self.faults[fault] += 1
            return self.calls.total(), fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    targets: Mapping[str, str]
    behaviour: Behaviour

    def forward(self) -> None:
        service, _, rest = self.path.lstrip("/").partition("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number, fault = self.behaviour.choose(service, self.command)
        self.behaviour.told(number, self.command, f"{service}/{rest}")
        if fault == "slow":
            time.sleep(SLOW)
        if fault == "reset before":
            return self.reset()
        if fault[:3].isdigit():
            return self.answer(int(fault[:3]), {"Retry-After": "1"} if fault[3:] or fault == "429" else {}, b"{}")
        status, headers, data = self.ask(service, rest, body)
        if fault == "reset after":
            return self.reset()
        return self.answer(status, headers, data)

    def ask(self, service: str, rest: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(self.targets[service], timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", *KEPT}}
        try:
            connection.request(self.command, f"/{rest}", body or None, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, HTTPException):
            return 502, {}, b"{}"
        finally:
            connection.close()

    def answer(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in KEPT:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def reset(self) -> None:
        """End the connection as a machine does that has died."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = forward  # noqa: N815 -- the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve a connection; a client that has gone is no news."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        """Let go of a connection that may have ended already."""
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True


@dataclass(frozen=True)
class Proxy:
    """What a cloud in ``clouds.yaml`` needs, to go through the proxy."""

    url: str
    project: str

    @property
    def auth_url(self) -> str:
        """Keystone behind the proxy."""
        return f"{self.url}/identity/v3"

    @property
    def overrides(self) -> dict[str, str]:
        """Where the services are, in place of what the catalog says."""
        paths = {
            "compute": "compute/v2.1",
            "network": "network/v2.0",
            "image": "image/v2",
            "block_storage": f"volume/v3/{self.project}",
            "volume": f"volume/v3/{self.project}",
            "volumev3": f"volume/v3/{self.project}",
        }
        return {f"{name}_endpoint_override": f"{self.url}/{path}" for name, path in paths.items()}


@contextmanager
def proxy(auth_url: str, project: str, behaviour: Behaviour) -> Iterator[Proxy]:
    """Run the proxy for the cloud whose keystone is at ``auth_url``."""
    host = urlsplit(auth_url).hostname
    ports = {"identity": 5000, "compute": 8774, "network": 9696, "image": 9292, "volume": 8776}
    targets = {name: f"{host}:{port}" for name, port in ports.items()}
    handler = type("Handler", (_Handler,), {"targets": targets, "behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Proxy(f"http://127.0.0.1:{server.server_port}", project)
    finally:
        server.shutdown()
        server.server_close()
