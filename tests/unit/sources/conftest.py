"""A web server on loopback, and what fetches from it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from im.sources.fetch import Web


class Site(ThreadingHTTPServer):
    """A web server on loopback: path -> content, or a number (status), or an address (redirect)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = {}
        self.asked = []
        self.port = self.server_address[1]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path, 404)
        if isinstance(page, int):
            self.send_response(page)
            self.end_headers()
        elif isinstance(page, str) and page.startswith("-> "):
            self.send_response(302)
            self.send_header("Location", page[3:])
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page if isinstance(page, bytes) else page.encode())

    def log_message(self, *_):
        """Be quiet."""


@pytest.fixture
def site():
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.002})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def web(tmp_path):
    return Web(("127.0.0.1",), tmp_path / "kept")
