"""What a real ooi in front of a real Nova was heard to say, word by word: the client understands all of it.

The exchanges are read where they are, beside this checkout (or in ``$IM_OCCI_EXCHANGES``); without them the tests are
skipped. Each is played by a server on loopback, under its own address.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from loopback import Answer, Replay, serving

from im.config import OcciSite
from im.errors import ProviderError
from im.providers.occi import renderings
from im.providers.occi.auth import keystone_of
from im.providers.occi.client import Client
from im.providers.occi.dialects import OOI
from im.providers.occi.instances import addresses_of, status_of
from im.providers.occi.model import (
    COMPUTE,
    COMPUTE_ACTION,
    IP_RESERVATION,
    NETWORK,
    NETWORK_INTERFACE,
    OS_TEMPLATE,
    SOURCE,
    STORAGE,
    TARGET,
    Resource,
)
from im.providers.occi.transport import Transport

FOLDER = Path(
    os.environ.get("IM_OCCI_EXCHANGES") or Path(__file__).resolve().parents[3] / "shared" / "lab" / "openstack" / "occi"
)
FILES = {file.stem[3:]: file for file in sorted(FOLDER.glob("[0-9][0-9]-*.txt"))}
pytestmark = pytest.mark.skipif(not FILES, reason=f"no recorded exchanges in {FOLDER}")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str
    answer: Answer

    @property
    def path(self) -> str:
        url = urlsplit(self.url)
        return f"{url.path}?{url.query}" if url.query else url.path


def exchange(name: str) -> Exchange:
    said, _, body = FILES[name].read_text().replace("\r\n", "\n").partition("\n\nHTTP/")
    method, url = said.splitlines()[0].removeprefix("> ").split()
    head, _, body = body.partition("\n\n")
    status, *lines = head.splitlines()
    headers = [tuple(line.split(": ", 1)) for line in lines if not line.startswith("Content-Length")]
    return Exchange(method, url, Answer(int(status.split()[1]), headers, body.strip().encode()))


class Played:
    """A site that answers as recorded."""

    def __init__(self, replay: Replay, origin: str) -> None:
        self._replay = replay
        self._origin = origin
        self.recorded = "{0.scheme}://{0.netloc}".format(urlsplit(exchange("list").url))
        self.url = f"{origin}/occi1.2"

    def plays(self, name: str) -> str:
        """Answer the request of an exchange like this from now on; return its address."""
        one = exchange(name)
        headers = [(key, self._here(content)) for key, content in one.answer.headers]
        answer = Answer(one.answer.status, headers, self._here(one.answer.body.decode()).encode())
        self._replay.answers.pop(f"{one.method} {one.path}", None)
        self._replay.add(f"{one.method} {one.path}", answer)
        return f"{self._origin}{one.path}"

    def client(self) -> Client:
        self.plays("discovery-json")
        return Client(OcciSite(endpoint=self.url, auth="none"), "occi:recorded")

    def _here(self, text: str) -> str:
        return text.replace(self.recorded, self._origin)


@pytest.fixture
def site() -> Iterator[Played]:
    replay = Replay()
    with serving(replay) as server:
        yield Played(replay, server.origin)


@pytest.mark.parametrize("rendering", ["plain", "occi", "json", "wellknown"])
def test_discovery_is_the_same_in_every_rendering(site, rendering):
    answer = exchange(f"discovery-{rendering}").answer
    headers = {name.lower(): content for name, content in answer.headers}
    media = headers["content-type"].partition(";")[0]
    found = {one.type: one for one in renderings.read_categories(media, answer.headers, answer.body.decode())}
    known = site.client().site
    assert found.keys() == known.categories.keys()
    assert found[COMPUTE].location == f"{site.recorded}/occi1.2/compute/"
    assert {one.title for one in found.values() if OS_TEMPLATE in one.rel} == {"tiny-fake", "debian-12"}


def test_the_refusal_without_a_login_names_the_keystone(site):
    headers = {name.lower(): content for name, content in exchange("discovery-noauth").answer.headers}
    assert keystone_of(headers["www-authenticate"], site.recorded).endswith(":5000/v3")


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("list", COMPUTE, 4),
        ("list-after", COMPUTE, 1),
        ("networks", NETWORK, None),
        ("networklinks", NETWORK_INTERFACE, 5),
        ("ipreservation-list", IP_RESERVATION, 2),
        ("storage-list", STORAGE, 0),
    ],
)
def test_a_listing_is_understood(site, name, kind, count):
    site.plays(name)
    listed = site.client().listing(kind)
    assert len(listed) == count if count is not None else listed
    assert all(one.location.startswith(site.url) and one.id for one in listed)


@pytest.mark.parametrize("name", ["create-textocci", "create-textplain", "create-json"])
def test_a_create_is_understood(site, name):
    site.plays(name)
    made = site.client().create(Resource(COMPUTE))
    assert made.location == f"{site.url}/compute/{made.id}"
    assert len(made.id) == 36


@pytest.mark.parametrize("name", ["networklink-create-public", "networklink-create-private"])
def test_a_link_is_understood(site, name):
    site.plays(name)
    made = site.client().create(Resource(NETWORK_INTERFACE, attributes={SOURCE: "/a", TARGET: "/b"}))
    assert made.id.count("_") == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("show-plain", "active"),
        ("show-occi", "active"),
        ("show-json", "active"),
        ("show-stopped", "stopped"),
        ("show-started", "active"),
        ("show-with-link", "active"),
    ],
)
def test_a_server_is_understood(site, name, status):
    shown = site.client().show(site.plays(name), COMPUTE)
    assert shown.title == "occi-vm-1"
    assert status_of(shown, OOI) == status
    private, public = addresses_of(shown, OOI)
    assert private == "10.11.0.69"
    assert public == ("172.24.4.184" if name == "show-with-link" else "")


@pytest.mark.parametrize(("name", "kind"), [("network-show", NETWORK), ("networklink-show", NETWORK_INTERFACE)])
def test_other_things_are_understood(site, name, kind):
    shown = site.client().show(site.plays(name), kind)
    assert shown.kind == kind
    assert shown.attributes


@pytest.mark.parametrize(("name", "term"), [("stop", "stop"), ("start", "start"), ("restart-text", "restart")])
def test_an_action_is_done(site, name, term):
    place = site.plays(name).partition("?")[0]
    site.client().act(place, f"{COMPUTE_ACTION}{term}")


@pytest.mark.parametrize("name", ["network-delete", "networklink-delete", "delete", "delete2", "delete-all"])
def test_a_delete_is_done_also_where_nothing_is(site, name):
    site.client().delete(site.plays(name))


def test_a_network_is_made(site):
    site.plays("network-create")
    assert site.client().create(Resource(NETWORK)).id


def test_what_is_missing_is_none(site):
    assert site.client().show(site.plays("missing"), COMPUTE) is None


@pytest.mark.parametrize(("name", "words"), [("bad-action", "Invalid action fly"), ("bad-accept", "Invalid Accept")])
def test_a_refusal_is_told_in_its_own_words(site, name, words):
    transport = Transport(OcciSite(endpoint=site.url, auth="none"), "occi:recorded")
    with pytest.raises(ProviderError, match=words):
        transport.request(exchange(name).method, site.plays(name), "text/plain")
