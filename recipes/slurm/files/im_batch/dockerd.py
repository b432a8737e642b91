"""Docker's daemon, asked over its socket: the words that its command line would use, without a shell's dangers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import urllib.parse
from pathlib import Path
from typing import IO, Any

from im_batch import images
from im_batch.faults import BatchError

SOCKET = "/var/run/docker.sock"
_IMAGES = Path("/var/lib/im/docker")
"""Root's: per user, which image each of his names means. Docker's own names are for anybody to overwrite."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def _send(method: str, path: str, body: Any = None) -> http.client.HTTPResponse:  # noqa: ANN401 - JSON or a file
    connection = _Connection("docker")
    headers = {"Content-Type": "application/json"}
    if isinstance(body, dict):
        body = json.dumps(body)
    elif body is not None:
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(os.fstat(body.fileno()).st_size)}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
    except OSError as error:
        raise BatchError(f"Docker's daemon does not answer: {error.strerror}") from None
    if answer.status >= 400:
        told = answer.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = json.loads(told)["message"]
        raise BatchError(f"Docker says: {told.strip()}")
    return answer


def _ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
    text = _send(method, path, body).read()
    return json.loads(text) if text else None


def _last(method: str, path: str, body: IO[bytes] | None = None) -> str:
    """Ask for something long, of which the daemon tells line by line; return its last word."""
    last = ""
    for line in _send(method, path, body):
        told = json.loads(line)
        if "error" in told:
            raise BatchError(f"the image cannot be prepared: {told['error']}")
        last = str(told.get("stream") or told.get("status") or last).strip()
    return last


def image(user: int, name: str, archive: int, *, whole: bool, kept: list[str]) -> str:
    """Return the id of the user's image of that name; it is made if it is not there. Raises :class:`BatchError`.

    Those of his images that are none of ``kept`` go.
    """
    folder = _IMAGES / str(user)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = folder / name
    with images.lock(_IMAGES / "lock"):
        for gone in set(folder.iterdir()) - {folder / each for each in kept}:
            _forget(gone)
        with contextlib.suppress(OSError, BatchError):
            identifier = known.read_text()
            _ask("GET", f"/images/{identifier}/json")
            return identifier
        with os.fdopen(archive, "rb") as file:
            path = "/images/load?quiet=1" if whole else "/images/create?fromSrc=-"
            found = _last("POST", path, file).rpartition(": ")[2]
        identifier = str(_ask("GET", f"/images/{urllib.parse.quote(found)}/json")["Id"])
        known.write_text(identifier)
    return identifier


def _forget(known: Path) -> None:
    """Remove an image unless another user has it as well; Docker keeps what somebody gave a name of his own."""
    identifier = known.read_text()
    known.unlink()
    if all(other.read_text() != identifier for other in _IMAGES.glob("*/im-*")):
        with contextlib.suppress(BatchError):
            _ask("DELETE", f"/images/{identifier}")


def create(request: dict[str, Any]) -> str:
    """Make a container and return its id. Raises :class:`BatchError`."""
    return str(_ask("POST", "/containers/create", request)["Id"])


def run(container: str) -> int:
    """Run a container to its end, its outputs to ours; return its exit code and remove it. Raises ``BatchError``."""
    try:
        output = _send("POST", f"/containers/{container}/attach?stream=1&stdout=1&stderr=1")
        try:
            _ask("POST", f"/containers/{container}/start")
        except BatchError as error:  # as Docker's own client: a program that is not there is the user's affair
            if "OCI runtime" not in str(error):
                raise
            missing = ("executable file not found", "no such file or directory")
            print(f"im-batch: {error}", file=sys.stderr)  # noqa: T201
            return 127 if any(text in str(error) for text in missing) else 126
        _copy(output)
        return int(_ask("POST", f"/containers/{container}/wait")["StatusCode"])
    finally:
        remove(container)


def _copy(output: http.client.HTTPResponse) -> None:
    """Take the two outputs, which come as frames of one stream, apart."""
    while len(head := output.read(8)) == 8:
        data = output.read(int.from_bytes(head[4:], "big"))
        stream = (sys.stderr if head[0] == 2 else sys.stdout).buffer
        stream.write(data)
        stream.flush()


def kill(container: str, signal: str) -> None:
    """Send a signal; a container that has ended does not mind."""
    with contextlib.suppress(BatchError):
        _ask("POST", f"/containers/{container}/kill?signal={signal}")


def remove(container: str) -> None:
    """End and remove a container. Docker refuses to do it twice: if somebody else is at it, wait until it is gone."""
    try:
        _ask("DELETE", f"/containers/{container}?force=1")
    except BatchError as error:
        if "already in progress" in str(error):
            with contextlib.suppress(BatchError):
                _ask("POST", f"/containers/{container}/wait?condition=removed")


def left(job: str) -> list[str]:
    """Return the containers of a job; none where there is no Docker."""
    if not Path(SOCKET).exists():
        return []
    wanted = urllib.parse.quote(json.dumps({"label": [f"im.slurm={job}"]}))
    return [str(each["Id"]) for each in _ask("GET", f"/containers/json?all=1&filters={wanted}")]
