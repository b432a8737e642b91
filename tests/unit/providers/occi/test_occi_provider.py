"""The provider against a small site of each dialect: what it sends, what it survives, what it never touches."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from dataclasses import replace

import pytest
from loopback import Answer, Server
from toy_site import Thing, ToySite

from im.config import OcciSite, Settings
from im.errors import InputError, NoCapacity, ProviderError, ProviderUnavailable, UnknownName
from im.plan.model import Identity, NodeSpec
from im.providers.base import Capability, Environment
from im.providers.occi import OcciProvider, memory
from im.topology.model import Network, Volume

GIB = 1 << 30
TEXT = [("Content-Type", "text/plain")]
SPEC = NodeSpec(
    infrastructure="1a2b",
    group="worker",
    index=1,
    name="worker-1",
    token="t1",
    cpus=1,
    memory=GIB // 2,
    image="http://site.test/os#debian",
    flavor="http://site.test/resource#small",
    identity=Identity("root", ("ssh-ed25519 AAAA me",), "PRIVATE-HOST-KEY", "ssh-ed25519 BBBB"),
)
SPECS = [replace(SPEC, index=n, name=f"worker-{n}", token=f"t{n}") for n in range(1, 6)]


@pytest.fixture(params=["ooi"])
def manner(request) -> str:
    return request.param


@pytest.fixture
def toy(serve, manner) -> ToySite:
    toy = ToySite(manner, build_looks=0)
    toy.server = serve(toy)
    toy.url = toy.server.origin
    return toy


def make(toy: ToySite, **changes: object) -> OcciProvider:
    said = {"endpoint": toy.url, "auth": "none", "parallel": 3, "timeout": 5.0} | changes
    return OcciProvider(Settings(occi={"toy": OcciSite(**said)}), "occi:toy")


def posts(server: Server, path: str = "/compute/") -> int:
    return server.lines().count(f"POST {path}")


def on_create(answer):
    """Return a fault that strikes when a server is created."""
    return lambda request, *rest: answer(request) if (request.method, request.path) == ("POST", "/compute/") else None


every_manner = pytest.mark.parametrize("manner", ["ooi", "rocci-1", "rocci-2"], indirect=True)


# what is sent


@every_manner
def test_a_server_is_asked_for_with_mark_size_image_and_user_data(toy):
    make(toy, network="private").create([SPEC])
    (server,) = toy.servers()
    assert server.attributes["occi.core.title"] == "worker-1:im:1a2b:1:t1:worker"
    assert server.attributes["occi.compute.hostname"] == "worker-1"
    assert set(server.mixins) >= {SPEC.image, SPEC.flavor}
    data = base64.b64decode(server.attributes["org.openstack.compute.user_data"]).decode()
    assert data.startswith("#cloud-config")
    assert "PRIVATE-HOST-KEY" in data


def with_mixins(toy: ToySite, *mixins: str) -> None:
    """Make the toy list these contextualization mixins instead of its own."""
    plain = json.loads(toy._render_discovery().body)
    known = [{"term": one.rpartition("#")[2], "scheme": one[: one.index("#") + 1]} for one in mixins]
    plain["mixins"] = [one for one in plain["mixins"] if one["term"] != "user_data"] + known
    headers = [("Server", toy.manner.server), ("Content-Type", "application/occi+json")]
    discovery = Answer(200, headers, json.dumps(plain).encode())
    toy.before.append(lambda request: discovery if request.path == "/-/" else None)


OPENSTACK_DATA = "http://schemas.openstack.org/compute/instance#user_data"
OPENSTACK_KEY = "http://schemas.openstack.org/instance/credentials#public_key"
STANDARD_DATA = "http://schemas.ogf.org/occi/infrastructure/compute#user_data"
STANDARD_KEY = "http://schemas.ogf.org/occi/infrastructure/credentials#ssh_key"


@pytest.mark.parametrize(
    ("manner", "listed", "used"),
    [
        ("ooi", {OPENSTACK_DATA, OPENSTACK_KEY, STANDARD_DATA, STANDARD_KEY}, {OPENSTACK_DATA}),
        ("ooi", {OPENSTACK_KEY}, {OPENSTACK_KEY}),
        ("rocci-2", {OPENSTACK_DATA, OPENSTACK_KEY, STANDARD_DATA, STANDARD_KEY}, {STANDARD_DATA, STANDARD_KEY}),
        ("rocci-2", {STANDARD_DATA}, {STANDARD_DATA}),
    ],
    indirect=["manner"],
)
def test_a_server_is_told_who_it_is_by_the_mixins_that_its_site_honours(toy, listed, used):
    with_mixins(toy, *sorted(listed))
    make(toy).create([SPEC])
    (server,) = toy.servers()
    assert set(server.mixins) - {SPEC.image, SPEC.flavor} == used
    attributes = {"org.openstack.credentials.publickey.data", "occi.credentials.ssh.publickey"}
    keys = [server.attributes[name] for name in attributes if name in server.attributes]
    assert keys == ["ssh-ed25519 AAAA me"] * len(used & {OPENSTACK_KEY, STANDARD_KEY})


def test_a_site_without_templates_of_size_gets_cores_and_memory(toy, monkeypatch):
    monkeypatch.setattr("toy_site.SIZES", {})
    provider = make(toy)
    assert provider.catalog().any_size
    provider.create([replace(SPEC, flavor="", cpus=2, memory=3 * GIB)])
    (server,) = toy.servers()
    assert (server.attributes["occi.compute.cores"], server.attributes["occi.compute.memory"]) == (2, 3072)


def test_a_site_that_takes_no_identity_is_refused_before_anything_is_made(toy):
    with_mixins(toy)
    with pytest.raises(InputError, match="nobody could log in"):
        make(toy).create([SPEC])
    assert toy.servers() == []
    assert {check.name: check.status for check in make(toy).check()}["user data"] == "failed"


def test_a_size_that_the_site_does_not_tell_comes_from_the_settings(toy, monkeypatch):
    monkeypatch.setattr("toy_site.SIZES", {"medium": (0, 0)})
    assert make(toy).catalog().flavors == ()
    (flavor,) = make(toy, sizes={"medium": [2, 3.5]}).catalog().flavors
    assert (flavor.name[:6], flavor.cpus, flavor.memory) == ("medium", 2, int(3.5 * GIB))


# few requests, several at once


def test_a_listing_asks_for_the_details_of_ours_only(toy):
    for n in range(10):
        toy.things[f"compute/x{n}"] = Thing("compute", f"x{n}", {"occi.core.title": f"web-{n}"}, [], "active")
    make(toy).create(SPECS[:2])
    provider = make(toy)
    assert provider.catalog()
    toy.server.seen.clear()
    assert len(provider.list("1a2b")) == 2
    details = sorted(f"GET /compute/{server.id}" for server in toy.servers() if server.id.startswith("compute"))
    assert sorted(toy.server.lines()) == ["GET /compute/", *details]


def test_a_server_that_has_settled_is_not_looked_at_every_time(toy):
    provider = make(toy)
    provider.create(SPECS[:2])
    first, second = toy.servers()
    first.state, second.state = "active", "inactive"
    provider.list()
    provider.list()
    toy.server.seen.clear()
    assert [one.status for one in provider.list()] == ["active", "building"]
    assert toy.server.lines() == ["GET /compute/", f"GET /compute/{second.id}"]


def test_new_servers_are_looked_at_until_one_is_still_being_built(toy):
    toy.build_looks = 99
    provider = make(toy)
    provider.create(SPECS)
    asked = []
    for _ in range(5):
        toy.server.seen.clear()
        assert [one.status for one in provider.list()] == ["building"] * 5
        asked.append(toy.server.lines()[1:])
    assert sorted(line for lines in asked for line in lines) == sorted(
        f"GET /compute/{one.id}" for one in toy.servers()
    )
    for server in toy.servers():
        server.state = "active"
    assert [one.status for one in provider.list()] == ["active"] * 5


def test_one_that_never_comes_does_not_hide_the_others(toy):
    toy.build_looks = 99
    provider = make(toy)
    provider.create(SPECS)
    for server in toy.servers()[1:]:
        server.state = "active"
    provider.list()
    assert sorted(one.status for one in provider.list()) == ["active"] * 4 + ["building"]


def test_a_settled_server_that_is_gone_is_seen_at_once(toy):
    provider = make(toy)
    provider.create([SPEC])
    toy.servers()[0].state = "active"
    provider.list()
    toy.things.pop(f"compute/{toy.servers()[0].id}")
    assert provider.list() == ()


@pytest.mark.parametrize("manner", ["rocci-2"], indirect=True)
def test_a_site_that_lists_whole_servers_is_asked_once(toy):
    provider = make(toy)
    provider.create(SPECS)
    toy.server.seen.clear()
    assert len(provider.list("1a2b")) == 5
    assert toy.server.lines() == ["GET /compute/"]


@every_manner
def test_servers_that_were_asked_to_end_are_not_looked_at_until_they_are_gone(toy):
    provider = make(toy)
    provider.create(SPECS)
    for server in toy.servers():
        server.state = "active"
    ids = [one.id for one in provider.list()]
    toy.before.append(lambda request: Answer(204) if request.method == "DELETE" else None)
    provider.delete(ids[:3])
    toy.server.seen.clear()
    assert [one.status for one in provider.list()].count("deleting") == 3
    looks = [line for line in toy.server.lines() if line.startswith("GET /compute/compute")]
    assert len(looks) == (5 if toy.manner.listing == "locations" else 0)  # without titles nobody knows who is who


def test_creates_run_at_once_up_to_the_sites_limit(toy):
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(2, timeout=5)

    def enter(request):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait()
        with lock:
            running -= 1

    toy.before.append(on_create(enter))
    assert len(make(toy, parallel=2).create(SPECS[:4])) == 4
    assert most == 2


# what goes wrong


@every_manner
@pytest.mark.parametrize("harm", ["late", "lost", "500"])
def test_a_create_that_happened_without_an_answer_is_found_and_not_repeated(toy, harm):
    def late(request):
        time.sleep(2.5)

    answers = {
        "late": late,
        "lost": lambda r: Answer(200, TEXT, b"X" * 99, broken_after=9),
        "500": lambda r: Answer(500),
    }
    toy.after.append(lambda request, answer: on_create(answers[harm])(request))
    (made,) = make(toy, timeout=2.0 if harm == "late" else 5.0).create([SPEC])
    assert made.id == toy.servers()[0].id
    assert (made.token, made.status) == ("t1", "building")
    assert posts(toy.server) == 1


def test_a_create_that_did_not_happen_is_the_engines_to_repeat(toy):
    toy.before.append(on_create(lambda request: Answer(504, TEXT, b"gateway timeout")))
    with pytest.raises(ProviderUnavailable, match="gateway timeout"):
        make(toy).create([SPEC])
    assert toy.servers() == []


def test_a_repeated_create_after_a_lost_answer_makes_no_second_server(toy):
    toy.after.append(lambda request, answer: on_create(lambda r: Answer(500))(request))
    make(toy).create(SPECS[:2])
    make(toy).create(SPECS[:2])
    assert len(toy.servers()) == 2


def test_one_that_fails_alone_is_told_with_the_sites_words(toy):
    toy.before.append(
        on_create(lambda request: Answer(403, TEXT, b"Quota exceeded") if b"worker-2" in request.body else None)
    )
    one, other, third = make(toy).create(SPECS[:3])
    assert (one.status, third.status) == ("building", "building")
    assert (other.id, other.status, other.message) == ("", "error", "Quota exceeded")


def test_when_nothing_could_be_made_the_reason_is_raised(toy):
    toy.before.append(on_create(lambda request: Answer(403, TEXT, b"Quota exceeded for cores")))
    with pytest.raises(NoCapacity, match="Quota exceeded for cores"):
        make(toy).create(SPECS)


def test_a_create_that_conflicts_is_not_repeated_for_ever(toy):
    toy.before.append(on_create(lambda request: Answer(409, TEXT, b"Multiple possible networks found")))
    with pytest.raises(ProviderError, match="Multiple possible networks") as caught:
        make(toy).create([SPEC])
    assert not caught.value.retryable
    assert "network" in caught.value.hint


def test_an_action_that_the_state_forbids_is_said_in_the_sites_words_and_may_come_again(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    with pytest.raises(ProviderUnavailable, match="Cannot 'stop' while it is in vm_state building"):
        make(toy).stop([made.id])
    toy.servers()[0].state = "active"
    provider.stop([made.id])
    assert toy.servers()[0].state == "inactive"


def test_stopping_what_stops_already_is_quiet(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    provider.stop([made.id])
    toy.servers()[0].state = "active"  # as nova shows it for a moment
    toy.before.append(lambda request: Answer(409, TEXT, b"powering-off") if "?action=stop" in request.path else None)
    provider.stop([made.id])


def test_a_server_that_was_just_made_is_not_taken_for_a_stopped_one(toy):
    provider = make(toy)
    provider.create([SPEC])
    server = toy.servers()[0]
    server.state = "inactive"  # nova builds it and has given it its address already
    assert provider.list()[0].status == "building"
    server.state = "active"
    assert provider.list()[0].status == "active"
    server.state = "inactive"
    provider.stop([server.id])
    assert provider.list()[0].status == "stopped"


@pytest.mark.parametrize("state", ["error", "homeless"])
def test_where_a_failed_build_looks_like_one_that_goes_on_the_refusal_to_start_it_tells(toy, monkeypatch, state):
    monkeypatch.setattr(memory, "DOUBT", 0.0)
    toy.build_looks = 99
    provider = make(toy)
    provider.create(SPECS[:2])
    failed, builds = toy.servers()
    failed.state = state
    for _ in range(2):
        found = {one.id: one for one in provider.list()}
    assert "vm_state error" in found[failed.id].message
    assert (found[failed.id].status, found[builds.id].status) == ("error", "building")
    toy.server.seen.clear()
    provider.list()
    assert not any(f"{failed.id}?action" in line for line in toy.server.lines())


def test_a_server_that_is_built_for_a_moment_only_is_not_doubted(toy):
    toy.build_looks = 99
    provider = make(toy)
    provider.create([SPEC])
    provider.list()
    assert not any("action" in line for line in toy.server.lines())


def test_a_server_that_ends_between_listing_and_looking_is_gone(toy):
    provider = make(toy)
    provider.create([SPEC])
    toy.before.append(
        lambda request: Answer(404, TEXT, b"gone") if request.path.startswith("/compute/compute-") else None
    )
    assert provider.list() == ()


@every_manner
def test_a_login_that_ends_in_mid_deployment_is_renewed_and_nobody_is_made_twice(toy, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("first")
    created = itertools.count(1)

    def guard(request):
        if on_create(lambda r: True)(request) and next(created) == 3:
            secret.write_text("second")
        if request.headers.get("x-auth-token") != secret.read_text():
            return Answer(401, TEXT, b"who are you?")
        return None

    toy.before.append(guard)
    found = make(toy, auth="token", secret_file=secret, parallel=1).create(SPECS)
    assert [one.status for one in found] == ["building"] * 5
    assert len(toy.servers()) == 5


# only ours


@every_manner
def test_what_has_no_mark_is_never_listed_changed_or_deleted(toy):
    toy.things["compute/web"] = Thing("compute", "web", {"occi.core.title": "web:im"}, [], "active")
    toy.things["storage/data"] = Thing("storage", "data", {"occi.core.title": "data"}, [])
    provider = make(toy, make_networks=True)
    provider.stop(["web"])
    provider.delete(["web"])
    assert provider.release("web") == ()
    assert provider.list() == ()
    assert provider.infrastructures() == {}
    assert toy.things.keys() >= {"compute/web", "storage/data", "network/private"}
    assert toy.things["compute/web"].state == "active"


@every_manner
def test_another_process_finds_and_ends_everything(toy):
    make(toy).create(SPECS)
    stranger = make(toy)
    assert stranger.infrastructures() == {"1a2b": None}
    assert {one.token for one in stranger.list("1a2b")} == {spec.token for spec in SPECS}
    assert set(stranger.release("1a2b")) == {f"server worker-{n} still exists" for n in range(1, 6)}
    stranger.delete([one.id for one in stranger.list("1a2b")])
    assert toy.servers() == []
    assert stranger.release("1a2b") == ()


# addresses, networks, volumes


def test_a_server_that_was_just_seen_is_not_looked_at_again_to_give_it_an_address(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    provider.list()
    toy.server.seen.clear()
    assert provider.publish(made.id)
    assert [line.split("/")[0] + line.split("/")[1] for line in toy.server.lines()] == [
        "POST ipreservation",
        "GET ipreservation",
        "POST networklink",
    ]


@pytest.mark.parametrize("manner", ["ooi", "ooi-old", "rocci-2"], indirect=True)
def test_a_public_address_is_given_once_and_given_back(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    address = provider.publish(made.id)
    assert address.startswith("192.0.2.")
    assert provider.publish(made.id) == address
    (listed,) = provider.list()
    assert (listed.public_address, listed.private_address[:7]) == (address, "10.0.0.")
    provider.delete([made.id])
    assert {thing.kind for thing in toy.things.values()} == {"network"}


@pytest.mark.parametrize("manner", ["ooi", "rocci-2"], indirect=True)
def test_a_link_is_ended_only_where_the_site_wants_it_before_its_address(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    provider.publish(made.id)
    toy.server.seen.clear()
    provider.delete([made.id])
    ended = [line.split("/")[1] for line in toy.server.lines() if line.startswith("DELETE")]
    assert (
        ended
        == {
            "ooi": ["ipreservation", "compute"],
            "rocci-2": ["ipreservation", "networkinterface", "ipreservation", "compute"],
        }["rocci-2" if toy.manner.schema else "ooi"]
    )


def test_who_is_deleted_beside_it_does_not_give_an_address_back_again(toy):
    provider = make(toy, parallel=5)
    ids = [one.id for one in provider.create(SPECS)]
    for server in toy.servers():
        server.state = "active"
    provider.publish(ids[0])
    toy.server.seen.clear()
    toy.before.append(lambda request: time.sleep(0.05))
    provider.delete(ids)
    assert len([line for line in toy.server.lines() if line.startswith("DELETE /ipreservation/")]) == 1


@pytest.mark.parametrize("manner", ["rocci-2"], indirect=True)
def test_an_address_that_its_site_still_believes_in_use_is_given_back_at_the_end(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    provider.publish(made.id)
    refusals = iter([Answer(409, TEXT, b"it has leases in use")] * 3)
    end = "DELETE /ipreservation/"
    toy.before.append(lambda request: next(refusals, None) if request.line.startswith(end) else None)
    provider.delete([made.id])
    assert toy.servers() == []
    (line,) = provider.release("1a2b")
    assert "it has leases in use" in line
    assert provider.release("1a2b") == ()
    assert {thing.kind for thing in toy.things.values()} == {"network"}


@pytest.mark.parametrize("manner", ["ooi", "rocci-2"], indirect=True)
def test_a_link_whose_answer_was_lost_costs_no_second_address(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    link = f"POST {toy.manner.paths['networkinterface']}"
    toy.after.append(lambda request, answer: Answer(504, TEXT, b"late") if request.line == link else None)
    with pytest.raises(ProviderUnavailable):
        provider.publish(made.id)
    assert provider.publish(made.id).startswith("192.0.2.")
    assert len([thing for thing in toy.things.values() if thing.kind == "ipreservation"]) == 1


@pytest.mark.parametrize("manner", ["rocci-2"], indirect=True)
def test_an_address_that_is_linked_but_not_shown_yet_is_the_reserved_one(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    toy.before.append(lambda request: Answer(504, TEXT, b"late") if request.line == "POST /networkinterface/" else None)
    with pytest.raises(ProviderUnavailable):
        provider.publish(made.id)
    (reservation,) = [thing for thing in toy.things.values() if thing.kind == "ipreservation"]
    reservation.attributes["occi.ipreservation.used"] = True
    assert provider.publish(made.id) == reservation.attributes["occi.ipreservation.address"]


@pytest.mark.parametrize("manner", ["rocci-2"], indirect=True)
def test_a_reservation_that_cannot_be_linked_is_given_back(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    toy.servers()[0].state = "active"
    toy.before.append(lambda request: Answer(400, TEXT, b"no") if request.line == "POST /networkinterface/" else None)
    with pytest.raises(ProviderError):
        provider.publish(made.id)
    assert not [thing for thing in toy.things.values() if thing.kind == "ipreservation"]


@pytest.mark.parametrize("manner", ["rocci-1"], indirect=True)
def test_where_the_network_is_public_its_addresses_are(toy):
    provider = make(toy)
    (made,) = provider.create([SPEC])
    assert provider.publish(made.id) == ""
    toy.servers()[0].links[0].attributes["occi.networkinterface.address"] = "193.146.175.10"
    assert provider.publish(made.id) == "193.146.175.10"


def test_a_network_is_the_templates_else_the_sites_else_what_the_site_chooses(toy):
    toy.things["network/n2"] = Thing("network", "n2", {"occi.core.title": "fast"}, [])
    provider = make(toy, network="private")
    networks = (Network("lan", existing="fast"),)
    provider.prepare(Environment("1a2b", "one", networks=networks), lambda event: None)
    provider.create([replace(SPECS[0], networks=("lan",)), SPECS[1]])
    targets = [server.links[0].attributes["occi.core.target"] for server in toy.servers()]
    assert sorted(targets) == [f"{toy.url}/network/n2", f"{toy.url}/network/private"]


def test_the_sites_network_is_looked_up_once_for_many_servers(toy):
    provider = make(toy, network="private")
    provider.create(SPECS[:3])
    provider.create(SPECS)
    assert toy.server.lines().count("GET /network/") == 1


def test_a_network_that_does_not_exist_is_refused_with_those_that_do(toy):
    networks = (Network("lan", existing="fats"),)
    with pytest.raises(InputError, match="no network 'fats'") as caught:
        make(toy).prepare(Environment("1a2b", "one", networks=networks), lambda event: None)
    assert "private" in caught.value.hint


def test_private_networks_are_made_once_used_and_released(toy):
    provider = make(toy, make_networks=True)
    assert Capability.PRIVATE_NETWORK in provider.capabilities
    environment = Environment("1a2b", "one", networks=(Network("lan", cidr="10.5.0.0/24"), Network("out", public=True)))
    for _ in range(2):
        make(toy, make_networks=True).prepare(environment, lambda event: None)
    provider.prepare(environment, lambda event: None)
    (network,) = [thing for thing in toy.things.values() if thing.id not in {"private", "PUBLIC"}]
    assert network.attributes["occi.network.address"] == "10.5.0.0/24"
    provider.create([replace(SPEC, networks=("lan",))])
    assert toy.servers()[0].links[0].attributes["occi.core.target"].endswith(network.id)
    provider.delete([toy.servers()[0].id])
    assert provider.infrastructures() == {"1a2b": None}
    assert provider.release("1a2b") == ()
    assert f"network/{network.id}" not in toy.things


def test_volumes_are_made_linked_listed_and_released(toy):
    provider = make(toy)
    spec = replace(SPEC, volumes=(Volume("data", size=GIB + 1),))
    (made,) = provider.create([spec])
    assert provider.attach([replace(spec, token="unknown")]) is False
    assert provider.attach([spec]) is True
    assert provider.attach([spec]) is True
    (volume,) = [thing for thing in toy.things.values() if thing.kind == "storage"]
    assert volume.attributes["occi.storage.size"] == 2
    provider.list()
    (listed,) = provider.list()
    assert [(one.name, one.id) for one in listed.volumes] == [("data", volume.id)]
    assert listed.volumes[0].device == f"/dev/disk/by-id/virtio-{volume.id[:20]}"
    provider.delete([made.id])
    assert provider.infrastructures() == {"1a2b": None}
    assert provider.release("1a2b") == ("volume data: is being deleted",)
    assert provider.release("1a2b") == ()
    assert volume.id not in {thing.id for thing in toy.things.values()}


CREATING = Answer(400, TEXT, b"Invalid volume: status must be available, but the current status is creating.")


def test_a_volume_that_is_still_being_made_is_linked_later(toy):
    provider = make(toy)
    spec = replace(SPEC, volumes=(Volume("data", size=GIB),))
    provider.create([spec])
    refusals = iter([CREATING])
    link = f"POST {toy.manner.paths['storagelink']}"
    toy.before.append(lambda request: next(refusals, None) if request.line == link else None)
    assert provider.attach([spec]) is False
    assert provider.attach([spec]) is True
    assert len([thing for thing in toy.things.values() if thing.kind == "storage"]) == 1


def test_a_volume_of_the_site_that_is_in_use_is_told_in_the_sites_words(toy):
    toy.things["storage/s9"] = Thing("storage", "s9", {"occi.core.title": "results"}, [])
    provider = make(toy)
    spec = replace(SPEC, volumes=(Volume("data", existing="results"),))
    provider.create([spec])
    used = Answer(400, TEXT, b"Invalid volume: status must be available, but the current status is in-use.")
    toy.before.append(lambda request: used if "storagelink" in request.path else None)
    with pytest.raises(ProviderUnavailable, match="current status is in-use"):
        provider.attach([spec])


def test_a_volume_of_the_site_is_linked_and_stays(toy):
    toy.things["storage/s9"] = Thing("storage", "s9", {"occi.core.title": "results"}, [])
    provider = make(toy)
    spec = replace(SPEC, volumes=(Volume("data", existing="results"),))
    (made,) = provider.create([spec])
    assert provider.attach([spec])
    assert [(one.name, one.id) for one in provider.list()[0].volumes] == [("data", "s9")]
    provider.delete([made.id])
    assert provider.release("1a2b") == ()
    assert "storage/s9" in toy.things


def test_a_volume_of_the_site_has_the_templates_name_as_soon_as_a_new_process_attaches_it(toy):
    toy.things["storage/s9"] = Thing("storage", "s9", {"occi.core.title": "results"}, [])
    spec = replace(SPEC, volumes=(Volume("data", existing="results"),))
    provider = make(toy)
    provider.create([spec])
    provider.attach([spec])
    stranger = make(toy)
    assert stranger.list()[0].volumes == ()
    assert stranger.attach([spec])
    assert [one.name for one in stranger.list()[0].volumes] == ["data"]


# names of clouds


def test_a_site_that_is_not_in_the_settings_is_named_with_those_that_are(tmp_path):
    settings = Settings(home=tmp_path, occi={"ifca": OcciSite(endpoint="https://x")})
    with pytest.raises(UnknownName, match="no OCCI site 'cesga'") as caught:
        OcciProvider(settings, "occi:cesga")
    assert "occi:ifca" in caught.value.hint
    with pytest.raises(InputError, match="needs the name of a site"):
        OcciProvider(settings, "occi")


def test_a_cloud_may_be_an_address(toy, monkeypatch):
    for name in ("OS_USERNAME", "OS_TOKEN", "OS_ACCESS_TOKEN", "OS_APPLICATION_CREDENTIAL_ID", "X509_USER_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert len(OcciProvider(Settings(), f"occi:{toy.url}").catalog().images) == 1


def test_check_says_what_is_wrong_and_never_raises(toy):
    assert [check.status for check in make(toy, endpoint="http://127.0.0.1:9").check()] == ["failed"]
    assert {check.status for check in make(toy).check()} == {"ok"}
