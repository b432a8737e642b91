"""A tiny real HTTP server on loopback in place of a cloud, and an API that talks to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from keystoneauth1 import adapter, noauth, session

from im.providers.openstack.api import Api

Answer = tuple[int, object] | tuple[int, object, dict[str, str]] | None
"""Status, body and headers; None: the connection is cut without a word."""


class ToyCloud:
    """Answers each request with what ``answer`` returns for (method, path, query, body)."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str, dict[str, str], object], Answer] = lambda *_: (404, {})
        self.asked: list[tuple[str, str, dict[str, str], object]] = []
        self.headers: list[dict[str, str]] = []
        toy = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                url, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                asked = (self.command, url.path, dict(parse_qsl(url.query)), body)
                toy.asked.append(asked)
                toy.headers.append(dict(self.headers))
                answer = toy.answer(*asked)
                if answer is None:
                    self.connection.close()
                    return
                status, said, *headers = answer
                text = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 -- http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.002}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def paths(self, method: str = "") -> list[str]:
        return [path for verb, path, _, _ in self.asked if method in {"", verb}]

    def script(self, *answers: Answer) -> None:
        """Give these answers one after the other; the last one for ever."""
        left = list(answers)
        self.answer = lambda *_: left.pop(0) if len(left) > 1 else left[0]


class ToyServices:
    """All services of the toy cloud are at one address, without a login."""

    name = "openstack:toy"

    def __init__(self, url: str) -> None:
        self._session = session.Session(auth=noauth.NoAuth())
        self._url = url

    def adapter(self, service: str) -> adapter.Adapter:
        return adapter.Adapter(self._session, service_type=service, endpoint_override=self._url)


@pytest.fixture
def toy():
    cloud = ToyCloud()
    yield cloud
    cloud.server.shutdown()
    cloud.server.server_close()


@pytest.fixture
def api(toy):
    return Api(ToyServices(toy.url), pause=0.001, timeout=5)
