"""A real HTTP server on loopback: what it is asked it writes down, what it answers a function decides."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

EXCHANGES = Path(__file__).with_name("exchanges")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    broken_after: int | None = None  # bytes of the body after which the connection breaks


def recorded(name: str, origin: str, site: str) -> Answer:
    """Read a recorded answer; addresses in it become those of the server that plays it."""
    head, _, body = (EXCHANGES / f"{name}.http").read_text().partition("\n\n")
    text = (part.replace("@SITE@", site).replace("@ORIGIN@", origin) for part in (head, body))
    head, body = text
    status, *lines = head.splitlines()
    headers = [tuple(line.split(": ", 1)) for line in lines]
    return Answer(int(status.split()[1]), headers, body.strip().encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.seen: list[Request] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def lines(self) -> list[str]:
        return [request.line for request in self.seen]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for 40 ms
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): content for name, content in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        self.server.seen.append(request)
        answer = self.server.answer(request)
        self.send_response_only(answer.status)
        for name, content in answer.headers:
            self.send_header(name, content)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: answer.broken_after])
        if answer.broken_after is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815


@contextmanager
def serving(answer: Callable[[Request], Answer]) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.002}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Replay:
    """Answers by request line, one after the other; the last one of a line stays. Unknown lines are 404."""

    def __init__(self) -> None:
        self.answers: dict[str, deque[Answer]] = defaultdict(deque)

    def add(self, line: str, *answers: Answer) -> None:
        self.answers[line].extend(answers)

    def __call__(self, request: Request) -> Answer:
        waiting = self.answers[request.line]
        if not waiting:
            return Answer(404, [("Content-Type", "text/plain")], b"nothing here")
        return waiting.popleft() if len(waiting) > 1 else waiting[0]
