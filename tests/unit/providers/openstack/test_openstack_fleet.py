"""Servers are asked for in few calls and watched by brief listings; a toy nova on loopback counts them."""

import re
import threading
from functools import partial

import pytest

from im.errors import NoCapacity, ProviderUnavailable
from im.plan.model import NodeSpec
from im.providers.openstack.api import Together
from im.providers.openstack.fleet import LONGEST_BLIND, LONGEST_HOPE, LONGEST_TRUST, Fleet
from im.providers.openstack.surroundings import Surroundings

AROUND = Surroundings(label="lab", networks={}, default="net", inside="sg")
LAB = "0a1b2c3d"


class ToyNova:
    """As much of nova as a fleet needs: servers that are building until somebody says otherwise."""

    def __init__(self, toy):
        self.servers = {}
        self.toy = toy
        self.buried = {}
        self.old = False
        self.before = self.after = None
        self.lock = threading.Lock()
        toy.answer = self.answer

    def answer(self, method, path, query, body):
        if method == "POST" and path == "/servers":
            if self.old and "tags" in body["server"]:
                return 406, {"computeFault": {"message": "Version 2.52 is not supported by the API."}}
            return self.post(body["server"])
        if method == "DELETE":
            gone = self.servers.pop(path.rpartition("/")[2], None)
            return (204, "") if gone else (404, {})
        if method == "POST":
            return 202, ""
        return 200, self.get(path, query)

    def get(self, path, query):
        if path.endswith("/os-instance-actions"):
            return {"instanceActions": [{"action": "create", "request_id": "req-9"}]}
        if one := self.servers.get(path.rpartition("/")[2]):
            return {"server": one | {"fault": {"message": self.buried.get(one["id"], "")}}}
        matching = [one for one in self.servers.values() if re.search(query["name"], one["name"])]
        matching = [one for one in matching if query.get("status") in {None, one["status"]}]
        whole = path == "/servers/detail"
        return {"servers": matching if whole else [{"id": one["id"], "name": one["name"]} for one in matching]}

    def post(self, wanted):
        if self.before:
            return self.before.pop(0) if len(self.before) > 1 else self.before[0]
        with self.lock:
            made, trouble, self.after = self.create(wanted), self.after, None
        return trouble or (202, {"server": {"id": made}})

    def create(self, wanted):
        count = wanted["max_count"]
        for k in range(1, count + 1):
            number = len(self.servers) + 1
            name = wanted["name"] if count == 1 else f"{wanted['name']}-{k}"
            addresses = {"net": [{"addr": f"10.64.0.{number}", "version": 4}]}
            one = {"id": f"s{number}", "name": name, "status": "BUILD", "metadata": wanted["metadata"]}
            one["tags"] = wanted.get("tags", [])
            self.servers[one["id"]] = one | {"addresses": addresses}
        return f"s{len(self.servers) - count + 1}"

    def become(self, status, *ids):
        for id_ in ids or self.servers:
            self.servers[id_]["status"] = status

    def asked(self):
        """What was asked since the last time."""
        calls = [
            f"{method} {path}" + (f" {query['status']}" if "status" in query else "")
            for method, path, query, _ in self.toy.asked
        ]
        self.toy.asked.clear()
        return calls


@pytest.fixture
def nova(toy):
    return ToyNova(toy)


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def fleet(api, now):
    return Fleet(api, clock=lambda: now[0])


def specs(*numbers, group="worker"):
    return [NodeSpec(LAB, group, n, f"{group}-{n}", f"{group}{n:08x}", 1, 1, "image") for n in numbers]


def create(fleet, wanted):
    return fleet.create(wanted, AROUND, lambda _spec: "flavor")


def test_many_servers_cost_one_create_and_one_brief_listing(nova, fleet):
    fleet.list(LAB)
    nova.asked()
    made = create(fleet, specs(*range(1, 17)))
    assert nova.asked() == ["POST /servers", "GET /servers"]
    assert [one.name for one in made] == [f"worker-{k}" for k in range(1, 17)]
    assert len({one.id for one in made}) == 16


def test_a_single_server_is_known_by_the_answer(nova, fleet):
    fleet.list(LAB)
    nova.asked()
    assert create(fleet, specs(1, group="frontend"))[0].id == "s1"
    assert nova.asked() == ["POST /servers"]


def test_while_servers_build_a_brief_listing_tells_and_one_whole_at_the_end(nova, fleet):
    create(fleet, specs(1, 2))
    nova.asked()
    assert {one.status for one in fleet.list(LAB)} == {"building"}
    nova.become("ACTIVE", "s1")
    assert [one.status for one in fleet.list(LAB)] == ["active", "building"]
    assert nova.asked() == ["GET /servers ACTIVE"] * 2
    nova.become("ACTIVE")
    assert [one.private_address for one in fleet.list(LAB)] == ["10.64.0.1", "10.64.0.2"]
    assert nova.asked() == ["GET /servers ACTIVE", "GET /servers/detail"]


def test_servers_are_tagged_by_the_call_that_makes_them(nova, fleet):
    create(fleet, specs(1, 2))
    assert [one["tags"] for one in nova.servers.values()] == [["im", f"im:{LAB}"]] * 2


def test_a_nova_from_before_tags_makes_servers_without(nova, fleet):
    nova.old = True
    assert len(create(fleet, specs(1, 2))) == 2
    assert [one["tags"] for one in nova.servers.values()] == [[]] * 2


def test_the_request_that_failed_is_told_with_the_reason_and_asked_for_once(nova, fleet, now):
    create(fleet, specs(1, 2))
    nova.become("ERROR")
    for one in nova.servers.values():
        one["fault"] = {"message": "No valid host was found."}
    now[0] += LONGEST_HOPE
    nova.asked()
    assert {one.message for one in fleet.list(LAB)} == {"No valid host was found. [req-9]"}
    assert [call for call in nova.asked() if "actions" in call] == ["GET /servers/s2/os-instance-actions"]
    now[0] += LONGEST_BLIND
    fleet.list(LAB)
    assert not [call for call in nova.asked() if "actions" in call]


def test_a_fault_that_no_listing_shows_is_asked_for_once(nova, fleet, now):
    """So it is with servers that no host was found for: nova keeps them apart from the others."""
    create(fleet, specs(1, 2, 3))
    nova.become("ACTIVE", "s1")
    nova.become("ERROR", "s2", "s3")
    nova.buried = {"s2": "No valid host was found.", "s3": "No disk was found."}
    now[0] += LONGEST_HOPE
    nova.asked()
    told = ["", "No valid host was found. [req-9]", "No disk was found. [req-9]"]
    assert [one.message for one in fleet.list(LAB)] == told
    assert {call for call in nova.asked() if re.fullmatch(r"GET /servers/s\d", call)} == {
        "GET /servers/s2",
        "GET /servers/s3",
    }
    now[0] += LONGEST_BLIND
    assert [one.message for one in fleet.list(LAB)] == told
    assert nova.asked() == ["GET /servers/detail"]


def test_active_servers_are_watched_by_brief_listings_until_one_changes(nova, fleet):
    create(fleet, specs(1, 2))
    nova.become("ACTIVE")
    first = fleet.list(LAB)
    nova.asked()
    assert fleet.list(LAB) == first
    assert nova.asked() == ["GET /servers ACTIVE"]
    nova.become("SHUTOFF", "s2")
    assert [one.status for one in fleet.list(LAB)] == ["active", "stopped"]
    assert nova.asked() == ["GET /servers ACTIVE", "GET /servers/detail"]


def test_what_has_failed_is_found_after_a_while(nova, fleet, now):
    create(fleet, specs(1, 2))
    nova.become("ERROR", "s2")
    nova.buried = {"s2": "No valid host was found."}
    now[0] += LONGEST_HOPE
    assert {one.name: one.status for one in fleet.list(LAB)} == {"worker-1": "building", "worker-2": "error"}
    nova.asked()
    now[0] += LONGEST_HOPE
    nova.become("ACTIVE", "s1")
    assert {one.name: one.status for one in fleet.list(LAB)} == {"worker-1": "active", "worker-2": "error"}
    assert nova.asked() == ["GET /servers ERROR", "GET /servers ACTIVE", "GET /servers/detail"]


def test_a_server_that_vanishes_while_others_build_is_missed_after_a_while(nova, fleet, now):
    create(fleet, specs(1, 2))
    del nova.servers["s2"]
    now[0] += LONGEST_TRUST
    assert [one.name for one in fleet.list(LAB)] == ["worker-1"]


def test_however_long_servers_build_they_are_not_listed_whole_before_the_end(nova, fleet, now):
    create(fleet, specs(1, 2))
    nova.asked()
    for _ in range(int(LONGEST_BLIND) - 1):
        now[0] += 1
        fleet.list(LAB)
    assert "GET /servers/detail" not in nova.asked()
    now[0] += 1
    fleet.list(LAB)
    assert nova.asked() == ["GET /servers/detail"]


def test_groups_that_are_asked_for_at_the_same_time_look_once(nova, fleet):
    groups = [specs(1, group="frontend"), specs(1, 2)]
    Together.all([partial(create, fleet, group) for group in groups])
    assert nova.asked().count("GET /servers/detail") == 1
    assert len(fleet.list(LAB)) == 3


def test_a_server_that_somebody_else_made_is_seen(nova, fleet, api):
    create(fleet, specs(1))
    create(Fleet(api), specs(2))
    nova.become("ACTIVE")
    assert len(fleet.list(LAB)) == 2


def test_while_servers_go_a_brief_listing_tells(nova, fleet):
    create(fleet, specs(1, 2))
    fleet.delete(["s1"])
    nova.asked()
    fleet.delete(["s2"])
    nova.servers["s2"] = {"id": "s2", "name": "im-0a1b2c3d-lab-worker-2", "status": "ACTIVE"}
    assert [(one.id, one.status) for one in fleet.list(LAB)] == [("s2", "deleting")]
    del nova.servers["s2"]
    assert fleet.list(LAB) == ()
    assert nova.asked() == ["DELETE /servers/s2", "GET /servers", "GET /servers"]


def test_a_repeated_create_makes_nothing(nova, fleet, api):
    first = create(fleet, specs(1, 2))
    assert create(fleet, specs(1, 2)) == first
    assert {one.id for one in create(Fleet(api), specs(1, 2))} == {"s1", "s2"}
    assert len(nova.servers) == 2


def test_more_servers_are_added_to_those_that_are_there(nova, fleet):
    create(fleet, specs(1, 2))
    assert [one.id for one in create(fleet, specs(1, 2, 3, 4))] == ["s1", "s2", "s3", "s4"]


@pytest.mark.parametrize("trouble", [(500, {}), (504, {}), (200, "half an ans")])
def test_a_create_that_happened_without_an_answer_is_found_and_not_repeated(nova, fleet, trouble):
    nova.after = trouble
    assert [one.id for one in create(fleet, specs(1, 2, 3))] == ["s1", "s2", "s3"]
    assert nova.asked().count("POST /servers") == 1


def test_a_create_that_did_not_happen_is_repeated(nova, fleet):
    nova.before = [(500, {}), (500, {})]
    fleet.list(LAB)
    with pytest.raises(ProviderUnavailable):
        create(fleet, specs(1))
    nova.before = None
    assert create(fleet, specs(1))[0].id == "s1"
    assert len(nova.servers) == 1


def test_no_room_is_an_error_if_nothing_could_be_requested(nova, fleet):
    nova.before = [(403, {"forbidden": {"message": "Quota exceeded for cores"}})]
    with pytest.raises(NoCapacity, match="Quota exceeded for cores"):
        create(fleet, specs(1, 2))


def test_who_has_looked_before_deleting_watches_by_brief_listings(nova, fleet, api):
    create(fleet, specs(1, 2))
    stranger = Fleet(api)
    ids = [one.id for one in stranger.list(LAB)]
    stranger.delete(ids)
    nova.asked()
    assert stranger.list(LAB) == ()
    assert nova.asked() == ["GET /servers"]


def test_deleting_what_is_gone_is_quiet(nova, fleet):
    fleet.delete(["never", "never"])
    assert nova.asked() == ["DELETE /servers/never"]


def test_after_stop_and_start_the_whole_truth_is_asked_for(nova, fleet):
    create(fleet, specs(1))
    fleet.act(["s1"], "os-stop")
    nova.become("SHUTOFF")
    assert fleet.list(LAB)[0].status == "stopped"


def test_a_public_address_that_was_given_is_remembered(nova, fleet):
    create(fleet, specs(1, 2))
    fleet.learn("s1", "192.0.2.1")
    assert fleet.list(LAB)[0].public_address == "192.0.2.1"
    assert fleet.find("s1").public_address == "192.0.2.1"


def test_a_server_is_found_by_a_new_process(nova, fleet, api):
    create(fleet, specs(1))
    assert Fleet(api).find("s1").name == "worker-1"
    assert Fleet(api).find("s9") is None
