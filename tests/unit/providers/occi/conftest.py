from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from loopback import Answer, Replay, Server, recorded, serving

from im.config import OcciSite, Settings
from im.providers.occi import OcciProvider
from im.providers.occi.client import Client


@dataclass
class ReplayedSite:
    """A site that plays what ooi answered once, at ``/occi1.2``; tests change single answers."""

    server: Server
    replay: Replay

    @property
    def url(self) -> str:
        return f"{self.server.origin}/occi1.2"

    def settings(self, **changes: object) -> OcciSite:
        said = {"endpoint": self.url, "auth": "token", "secret_env": "OCCI_TOKEN", "timeout": 5.0, "parallel": 4}
        return OcciSite(**said | changes)

    def client(self, **changes: object) -> Client:
        return Client(self.settings(**changes), "occi:test")

    def provider(self, **changes: object) -> OcciProvider:
        return OcciProvider(Settings(occi={"test": self.settings(**changes)}), "occi:test")

    def recorded(self, name: str) -> Answer:
        return recorded(name, self.server.origin, self.url)

    def answer(self, line: str, *answers: Answer | str) -> None:
        """From now on answer a request line, such as ``GET /-/``, like this."""
        method, path = line.split()
        key = f"{method} /occi1.2{path}"
        self.replay.answers.pop(key, None)
        self.replay.add(key, *(self.recorded(one) if isinstance(one, str) else one for one in answers))


@pytest.fixture
def serve() -> Iterator[Callable[[Replay], Server]]:
    """Give a maker of further servers, all ended at the end of the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda replay: stack.enter_context(serving(replay))


@pytest.fixture
def site(serve, monkeypatch) -> ReplayedSite:
    monkeypatch.setenv("OCCI_TOKEN", "token-one")
    replay = Replay()
    replayed = ReplayedSite(serve(replay), replay)
    replayed.answer("GET /-/", "ooi-discovery")
    return replayed
