"""Fetches imports and artifacts from the web, from hosts that the settings allow, and keeps what it got.

A template may come from a stranger. So every address that is asked for, also behind a redirect, is checked before
anything is sent: its host against the settings, and what the host's name stands for. ``*`` allows hosts that are
reachable by everybody; what lies in private networks must be named. The connection goes to the very address that was
checked, so that a name cannot stand for another one a moment later.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from im.sources.files import MAX_BYTES, Refused, Source, joined

MAX_AGE: Final = 86_400.0
"""Seconds after which something without a checksum is fetched again."""
TIMEOUT: Final = 10.0
MAX_SECONDS: Final = 30.0
MAX_REDIRECTS: Final = 3
_CHECKSUM: Final = re.compile(r"sha256[=:]([0-9a-fA-F]{64})")
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
Lookup = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses that a host's name stands for."""


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host as this machine's resolver knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Web:
    """What may be fetched: ``hosts`` (``example.org``, ``*.example.org``, ``*``), and ``folder``, where it is kept.

    ``context`` makes the TLS context; certificates are always verified. ``max_bytes``: of one file.
    """

    hosts: tuple[str, ...] = ()
    folder: Path | None = None
    look_up: Lookup = look_up
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    max_bytes: int = MAX_BYTES

    def find(self, reference: str) -> Source | Refused:
        """Return the kept copy of what stands at an address, fetched anew where it is missing or old.

        ``#sha256=HEX`` at the end of the address is its checksum: a copy with that checksum is never fetched again.
        """
        address, _, fragment = reference.partition("#")
        checksum = _CHECKSUM.fullmatch(fragment)
        refused = self.refused(address)
        if refused is not None:
            return refused
        if self.folder is None:
            return Refused(f"there is no folder to keep '{address}' in")
        kept = _Kept(self.folder, address)
        wanted = checksum[1].lower() if checksum else ""
        if not kept.is_good(wanted):
            got = self._get(address)
            if isinstance(got, Refused):
                return kept.source if not wanted and kept.exists else got
            kept.write(got)
        if wanted and kept.checksum != wanted:
            return Refused(f"'{address}' has the checksum {kept.checksum}, not {wanted}", "it was changed since")
        return kept.source

    def refused(self, address: str) -> Refused | None:
        """Return why an address may not be asked for, as far as its text tells."""
        try:
            url = urlsplit(address)
            host = (url.hostname or "").lower().rstrip(".")
        except ValueError:
            return Refused(f"'{address}' is no address", "https://HOST/PATH")
        if url.scheme not in {"http", "https"} or not host or url.username is not None:
            return Refused(f"'{url.geturl()}' is no address that im fetches", "https://HOST/PATH")
        if self._named(host) or ("*" in self.hosts and url.scheme == "https"):
            return None
        return self._not_allowed(address, host)

    def _not_allowed(self, address: str, host: str) -> Refused:
        if "*" in self.hosts:
            return Refused(f"'{address}' is not encrypted", f"allow the host {host} by its name, or use https")
        if self.hosts:
            hint = "add it to import_hosts, or map the address to a folder"
            return Refused(f"the settings do not allow the host {host}", hint)
        hint = "copy it and map its prefix to a folder (import_map), or allow its host (import_hosts)"
        return Refused(f"'{address}' is not fetched from the network", hint)

    def _named(self, host: str) -> bool:
        return any(
            host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]))
            for allowed in map(str.lower, self.hosts)
        )

    def _get(self, address: str) -> bytes | Refused:
        deadline = time.monotonic() + MAX_SECONDS
        for _ in range(MAX_REDIRECTS + 1):
            refused = self.refused(address)
            if refused is not None:
                return refused
            try:
                answer = self._ask(urlsplit(address), deadline)
            except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
                return Refused(f"'{address}' cannot be fetched: {_reason(error)}")
            if not isinstance(answer, str):
                return answer
            target = joined(address, answer)
            if address.lower().startswith("https:") and not target.lower().startswith("https:"):
                return Refused(f"'{address}' redirects to what is not encrypted")
            address = target
        return Refused(f"'{address}' redirects too often")

    def _ask(self, url: SplitResult, deadline: float) -> bytes | Refused | str:
        """Return the content at an address, or the address that it redirects to."""
        connection = self._connected(url)
        if isinstance(connection, Refused):
            return connection
        try:
            connection.request("GET", url.path + (f"?{url.query}" if url.query else "") or "/", headers=_HEADERS)
            answer = connection.getresponse()
            target = answer.getheader("Location")
            if answer.status in _REDIRECTS and target:
                return target
            if answer.status != 200:
                return Refused(f"'{url.geturl()}' answers {answer.status} {answer.reason}")
            return _content(answer, url, deadline, self.max_bytes)
        finally:
            connection.close()

    def _connected(self, url: SplitResult) -> http.client.HTTPConnection | Refused:
        host = str(url.hostname)
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 80)
        addresses = self.look_up(host, port)
        if not self._named(host.lower().rstrip(".")) and not all(ip_address(one).is_global for one in addresses):
            return Refused(f"the host {host} is in a private network", "name it in import_hosts to allow it")
        plain = socket.create_connection((addresses[0], port), timeout=TIMEOUT)
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        connection.sock = self.context().wrap_socket(plain, server_hostname=host) if secure else plain
        return connection


_HEADERS: Final = {"User-Agent": "im", "Accept-Encoding": "identity"}


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _content(answer: http.client.HTTPResponse, url: SplitResult, deadline: float, max_bytes: int) -> bytes | Refused:
    """Read no more than a template may have, and not for ever."""
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(65_536):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            return Refused(f"'{url.geturl()}' has more than {max_bytes:,} bytes")
        if time.monotonic() > deadline:
            return Refused(f"'{url.geturl()}' takes more than {MAX_SECONDS:.0f} s")
    return b"".join(parts)


class _Kept:
    """The copy of what stood at an address, in a folder of its own: a playbook brings along what lies beside it."""

    def __init__(self, folder: Path, address: str) -> None:
        self._address = address
        name = re.sub(r"[^A-Za-z0-9._-]", "_", urlsplit(address).path.rpartition("/")[2]).lstrip(".") or "index"
        self._folder = folder / hashlib.sha256(address.encode()).hexdigest()[:32]
        self._path = self._folder / name[:100]
        self._note = self._folder / ".fetched"

    @property
    def source(self) -> Source:
        return Source(self._path, self._address, self._address)

    @property
    def exists(self) -> bool:
        return self._path.is_file() and bool(self.checksum)

    @property
    def checksum(self) -> str:
        """The checksum of the copy; "" where it is not what was fetched."""
        try:
            noted = json.loads(self._note.read_text(encoding="utf-8"))["sha256"]
            real = hashlib.sha256(self._path.read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return real if real == noted else ""

    def is_good(self, wanted: str) -> bool:
        if wanted:
            return self.checksum == wanted
        try:
            age = time.time() - self._note.stat().st_mtime
        except OSError:
            return False
        return 0 <= age < MAX_AGE and self.exists

    def write(self, content: bytes) -> None:
        """Keep the copy, and then that it is whole."""
        note = {"url": self._address, "sha256": hashlib.sha256(content).hexdigest()}
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(self._path, content)
        _replace(self._note, json.dumps(note).encode())


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)
