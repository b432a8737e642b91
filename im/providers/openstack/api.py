"""Calls to the services of one OpenStack cloud: raw JSON in and out, repeated where that is safe, and counted."""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from im.errors import ProviderUnavailable
from im.providers.openstack.errors import Refused, Reply, error_of
from im.providers.openstack.failures import in_our_words

if TYPE_CHECKING:
    from keystoneauth1.adapter import Adapter

Json = dict[str, Any]
Query = Mapping[str, str | Sequence[str]]
T = TypeVar("T")

AT_ONCE = 10
"""Calls under way at the same time: as many as a session keeps connections."""
TIMEOUT = 60.0
ATTEMPTS = 6
LONGEST_PAUSE = 30.0
PAGE = 1000
REQUEST_ID = "X-OpenStack-Request-ID"

for _name in ("stamina", "keystoneauth", "openstack", "urllib3"):  # what matters comes as an error of ours
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Services(Protocol):
    """Where the calls go: an adapter of a logged-in session for each service."""

    name: str

    def adapter(self, service: str) -> Adapter:
        """Return the adapter of ``compute``, ``network``, ``image``, ``block-storage``. Raises our errors."""


class Api:
    """Every call to a cloud goes through here.

    ``calls`` counts them by service and method. ``pause`` is the first wait before a repetition, in seconds.
    """

    def __init__(self, services: Services, *, pause: float = 0.5, timeout: float = TIMEOUT) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._services = services
        self._pause = pause
        self._timeout = timeout

    # the four ways to ask

    def get(self, service: str, path: str, query: Query | None = None, version: str = "") -> Json:
        """Read. ``version`` is the microversion of the answer, where the service has them."""
        return self._repeated(
            ProviderUnavailable, lambda: self._send(service, "GET", path, query=query, version=version)
        )

    def pages(self, service: str, path: str, key: str, query: Query | None = None, version: str = "") -> list[Json]:
        """Read a listing to its end."""
        found: list[Json] = []
        asked: Query = {**(query or {}), "limit": str(PAGE)}
        while True:
            page = self.get(service, path, asked, version)
            found += page[key]
            if not (page.get("next") or page.get(f"{key}_links")) or not page[key]:
                return found
            asked = {**asked, "marker": page[key][-1]["id"]}

    def post(
        self, service: str, path: str, body: Json, found: Callable[[], Json | None] | None = None, version: str = ""
    ) -> Json:
        """Create. If it stays unknown whether that happened, ``found`` looks before it is asked for again.

        Without ``found`` only what was refused before it began is repeated.
        """
        attempts = 0

        def make() -> Json:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and found and (there := found()) is not None:
                return there
            return self._send(service, "POST", path, body=body, version=version)

        return self._repeated(ProviderUnavailable if found else Refused, make)

    def act(
        self,
        service: str,
        method: str,
        path: str,
        body: Json | None = None,
        quiet: Iterable[int] = (),
        *,
        headers: Mapping[str, str] | None = None,
        version: str = "",
    ) -> Json:
        """Do what has the same result when it is done twice; answers in ``quiet`` mean that it is done already."""
        gone = frozenset(quiet)
        return self._repeated(
            ProviderUnavailable,
            lambda: self._send(service, method, path, body=body, quiet=gone, headers=headers, version=version),
        )

    def delete(self, service: str, path: str) -> None:
        """Delete; what is not there is deleted."""
        self.act(service, "DELETE", path, quiet={404})

    def repeated(self, call: Callable[[], T]) -> T:
        """Do something that changes nothing, such as a login, as often as it takes."""
        return self._repeated(ProviderUnavailable, call)

    # inside

    def _repeated(self, on: type[ProviderUnavailable], call: Callable[[], T]) -> T:
        import stamina

        def pause(error: Exception) -> bool | float:
            if not isinstance(error, on):
                return False
            wanted = error.pause if isinstance(error, Refused) else None
            return True if wanted is None else min(wanted, LONGEST_PAUSE)

        attempts = stamina.retry_context(
            on=pause, attempts=ATTEMPTS, timeout=None, wait_initial=self._pause, wait_max=10, wait_jitter=self._pause
        )
        for attempt in attempts:
            with attempt:
                return call()
        raise AssertionError  # stamina either returns or raises

    def _send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Query | None = None,
        version: str = "",
        quiet: frozenset[int] = frozenset(),
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        where = f"cloud {self._services.name}, {service}"
        self.calls[service, method] += 1
        more = {"json": body, "params": query, "microversion": version or None}
        reply = self._answer(service, method, path, headers or {}, more)
        if reply.status >= 400:
            if reply.status in quiet:
                return {}
            raise error_of(reply, where=where)
        try:
            return dict(json.loads(reply.body)) if reply.body.strip() else {}
        except ValueError:
            raise ProviderUnavailable(f"the answer is not JSON [{reply.request_id}]", where=where) from None

    def _answer(
        self, service: str, method: str, path: str, headers: Mapping[str, str], more: Mapping[str, object]
    ) -> Reply:
        """Ask under a request id of our own, which the services log: it is all there is when no answer comes."""
        request = f"req-{uuid.uuid4()}"
        adapter = self._services.adapter(service)
        given = {name: value for name, value in more.items() if value is not None}
        given["headers"] = {REQUEST_ID: request, **headers}
        with in_our_words(self._services.name, service, request):
            url = path_of(service, path, adapter)
            response = adapter.request(url, method, raise_exc=False, timeout=self._timeout, **given)
        return Reply(response.status_code, response.text, dict(response.headers), request)


def path_of(service: str, path: str, adapter: Adapter) -> str:
    """Return the path below the endpoint of the catalog, which has the version in it or not."""
    version = {"network": "/v2.0", "image": "/v2"}.get(service)
    if version is None:
        return path
    endpoint = str(adapter.get_endpoint() or "").rstrip("/")
    return path if endpoint.endswith(version) else version + path


class Together:
    """Calls that are made at the same time: ``with Together() as at_once: answer = at_once.ask(call)``."""

    def __init__(self, most: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="im-openstack")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def ask(self, call: Callable[[], T]) -> Future[T]:
        """Begin a call; the result of what this returns is what the call returns or raises."""
        return self._pool.submit(call)

    @classmethod
    def all(cls, calls: Iterable[Callable[[], T]]) -> list[T]:
        """Make these calls; return what they return, in order, or raise the first error when all have ended."""
        todo = list(calls)
        if len(todo) < 2:
            return [call() for call in todo]
        with cls() as at_once:
            begun = [at_once.ask(call) for call in todo]
        return [one.result() for one in begun]
