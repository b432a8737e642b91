"""What stands around servers is made once, is completed after any interruption, and goes without a trace."""

from concurrent.futures import wait
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from toy_neutron import ToyNeutron

from im.errors import InputError, ProviderError
from im.plan.model import Instance
from im.providers.base import Environment
from im.providers.openstack.addresses import Addresses
from im.providers.openstack.api import ATTEMPTS
from im.providers.openstack.cleaning import Cleaner
from im.providers.openstack.marks import Mark, described
from im.providers.openstack.offers import Offers
from im.providers.openstack.surroundings import Builder, floating_network
from im.providers.openstack.volumes import Volumes
from im.topology.model import Network, NodeGroup, Port

LAB = Environment(
    "0a1b2c3d",
    "lab",
    (Network("private"), Network("data"), Network("public", public=True)),
    groups=(
        NodeGroup("frontend", front_end=True, public=True),
        NodeGroup("worker", ports=(Port(80, 90),), placement="anti-affinity"),
        NodeGroup("quiet"),
    ),
)
WHOLE = {
    "networks": 3,
    "subnets": 2,
    "routers": 1,
    "ports": 2,
    "security-groups": 3,
    "security-group-rules": 4,
    "floatingips": 0,
    "os-server-groups": 1,
}


@pytest.fixture
def neutron(toy):
    return ToyNeutron(toy)


@pytest.fixture
def build(api):
    def make(environment=LAB):
        around = Builder(api, Offers(api, None), environment).build()
        wait([around.way_out, around.tagged])
        around.way_out.result()
        return around

    return make


@pytest.fixture
def cleaner(api):
    return Cleaner(api, Volumes(api))


def test_everything_is_made(neutron, build):
    around = build()
    assert neutron.numbers() == WHOLE
    assert set(around.networks) == {"private", "data"}
    assert set(around.groups) == {"frontend", "worker"}
    assert set(around.placements) == {"worker"}
    assert around.floating == neutron.external["id"]


def test_everything_carries_our_mark_from_the_call_that_makes_it(neutron, build, toy):
    build()
    for method, path, _, body in toy.asked:
        if method == "POST" and "rules" not in path:
            (values,) = body.values()
            assert values["name"].startswith("im-0a1b2c3d-lab")
            assert values.get("description", "im:0a1b2c3d ").startswith("im:0a1b2c3d ") or "policies" in values


def test_people_can_list_by_tags_what_is_ours(neutron, build):
    build()
    ours = {
        one["id"]: one.get("tags")
        for kind in ("networks", "subnets", "routers", "security-groups")
        for one in neutron.kept[kind].values()
        if one is not neutron.external
    }
    assert len(ours) == 8
    assert ours == {key: ["im", "im:0a1b2c3d"] for key in ours}
    assert neutron.external["tags"] == []


def test_a_tag_that_was_not_put_is_put_by_the_next_run(neutron, build):
    build()
    (router,) = neutron.kept["routers"].values()
    router["tags"] = []
    before = neutron.calls
    build()
    assert router["tags"] == ["im", "im:0a1b2c3d"]
    assert neutron.calls - before == count_calls(neutron, build) + 1


def test_where_there_are_no_tags_none_are_asked_for(neutron, build, toy):
    neutron.tags = False
    build()
    assert not [path for path in toy.paths() if path.endswith("/tags")]


def test_made_again_it_stays_as_it_is(neutron, build, toy):
    first = build()
    toy.asked.clear()
    assert build() == first
    assert {method for method, *_ in toy.asked} == {"GET"}
    assert neutron.numbers() == WHOLE


def test_a_lifetime_is_told_from_the_first_call_on_and_prolonged_by_one_more(neutron, build, cleaner, toy):
    first, second = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    build(replace(LAB, expires=first))
    assert cleaner.look().owners == {LAB.infrastructure: first}
    toy.asked.clear()
    build(replace(LAB, expires=second))
    assert [method for method, *_ in toy.asked if method != "GET"] == ["PUT"]
    assert cleaner.look().owners == {LAB.infrastructure: second}
    assert neutron.numbers() == WHOLE


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_call_is_made_good_by_looking(neutron, build, when):
    calls = count_calls(neutron, build)
    for number in range(1, calls + 1):
        neutron.trouble = trouble_at(neutron.calls + number, when)
        build(replace(LAB, infrastructure=f"{number:08x}"))
        for kind in ("networks", "routers", "security-groups", "os-server-groups"):
            mine = [one for one in neutron.kept[kind].values() if f"im-{number:08x}-" in one["name"]]
            assert len(mine) == {"networks": 2, "routers": 1, "security-groups": 3, "os-server-groups": 1}[kind]


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_call_it_ends_at_the_next_run_completes_it_and_release_leaves_nothing(neutron, build, cleaner, when):
    calls = count_calls(neutron, build)
    cleaner.clean(LAB.infrastructure)
    empty = neutron.numbers()
    for number in range(1, calls + 1):
        first = neutron.calls + number
        neutron.trouble = lambda call, first=first: when if first <= call < first + ATTEMPTS else None
        try:
            build()
        except ProviderError:
            neutron.trouble = lambda _call: None
            build()
        neutron.trouble = lambda _call: None
        build()
        assert neutron.numbers() == WHOLE, f"trouble {when} call {number}"
        assert cleaner.clean(LAB.infrastructure) == ()
        assert neutron.numbers() == empty


def test_rules_follow_the_template(neutron, build):
    build()
    build(replace(LAB, groups=(NodeGroup("frontend", front_end=True), NodeGroup("worker", ports=(Port(443, 443),)))))
    (worker,) = [one for one in neutron.kept["security-groups"].values() if one["description"].endswith("group worker")]
    assert [(one["port_range_min"], one["port_range_max"]) for one in worker["security_group_rules"]] == [(443, 443)]


def test_what_belongs_to_others_stays(neutron, build, cleaner):
    neutron.add("networks", name="im-portant", description="mine")
    neutron.add("security-groups", name="im-0a1b2c3d-lab", description="a copy by hand")
    neutron.add("floatingips", description="kept for later")
    before = neutron.numbers()
    build()
    build(replace(LAB, infrastructure="11112222"))
    assert cleaner.look().owners == {"0a1b2c3d": None, "11112222": None}
    assert cleaner.clean("0a1b2c3d") == ()
    assert cleaner.look().owners == {"11112222": None}
    assert cleaner.clean("11112222") == ()
    assert neutron.numbers() == before


def test_what_cannot_be_removed_is_a_line_with_the_reason(neutron, build, cleaner):
    around = build()
    (subnet,) = neutron.kept["networks"][around.networks["private"]]["subnets"]
    port = neutron.add("ports", device_id="x", device_owner="network:dhcp", fixed_ips=[{"subnet_id": subnet, "x": 1}])
    (line,) = cleaner.clean(LAB.infrastructure)
    assert line.startswith("network im-0a1b2c3d-lab-private: There are one or more ports still in use")
    del neutron.kept["ports"][port["id"]]
    assert cleaner.clean(LAB.infrastructure) == ()


def test_addresses_and_routers_go_before_the_servers_and_the_rest_stays_for_them(neutron, build, cleaner):
    build()
    neutron.add("floatingips", description=described(Mark(LAB.infrastructure, "address")))
    cleaner.close(LAB.infrastructure)
    feet_and_ways_out = {"routers": 0, "ports": 0, "floatingips": 0}
    assert neutron.numbers() == WHOLE | feet_and_ways_out
    assert cleaner.clean(LAB.infrastructure) == ()


def test_where_addresses_come_from_is_found_again_by_a_new_process(neutron, build, api):
    build()
    assert floating_network(api, "0a1b2c3d") == neutron.external["id"]
    assert floating_network(api, "99999999") == ""


# public addresses


SERVER = Instance("server-1", "0a1b2c3d", "frontend", 1, "frontend", "t", "active")


@pytest.fixture
def addresses(api, neutron):
    neutron.add("ports", device_id="server-1", network_id="net", fixed_ips=[])
    return Addresses(api)


def test_a_new_address_carries_our_mark(neutron, addresses):
    address = addresses.give(SERVER, "ext", ())
    (made,) = neutron.kept["floatingips"].values()
    assert made["floating_ip_address"] == address
    assert made["description"] == described(Mark("0a1b2c3d", "address", "frontend"))
    assert made["tags"] == ["im", "im:0a1b2c3d"]


def test_a_server_keeps_the_address_that_it_has(neutron, addresses):
    assert addresses.give(SERVER, "ext", ()) == addresses.give(SERVER, "ext", ())
    assert len(neutron.kept["floatingips"]) == 1


def test_an_unused_address_is_taken_first_and_not_marked(neutron, addresses):
    neutron.add("floatingips", floating_network_id="other")
    neutron.add("floatingips", floating_network_id="ext", description="im:11112222 address frontend")
    unused = neutron.add("floatingips", floating_network_id="ext", description="kept")
    assert addresses.give(SERVER, "ext", ()) == unused["floating_ip_address"]
    assert neutron.kept["floatingips"][unused["id"]]["description"] == "kept"
    assert unused["tags"] == []


def test_an_address_that_a_server_of_ours_left_behind_is_taken_before_all(neutron, addresses):
    neutron.add("floatingips", floating_network_id="ext", description="kept")
    ours = neutron.add("floatingips", floating_network_id="ext", description="im:0a1b2c3d address frontend")
    assert addresses.give(SERVER, "ext", ()) == ours["floating_ip_address"]


def test_a_lost_answer_costs_no_second_address(neutron, addresses):
    neutron.trouble = trouble_at(neutron.calls + 3, "after")
    addresses.give(SERVER, "ext", ())
    assert len(neutron.kept["floatingips"]) == 1


def trouble_at(number, when):
    return lambda call: when if call == number else None


def count_calls(neutron, build):
    before = neutron.calls
    build()
    return neutron.calls - before


def test_a_key_pair_that_the_user_has_not_is_refused_before_anything_is_made(neutron, build):
    before = neutron.numbers()
    with pytest.raises(InputError, match="no key pair 'mime'") as caught:
        build(replace(LAB, groups=(NodeGroup("worker", key_pair="mime"),)))
    assert "mine" in caught.value.hint
    assert neutron.numbers() == before
