"""Which networks, ways out and open ports an infrastructure gets."""

import pytest

from im.errors import InputError
from im.providers.base import Environment
from im.providers.openstack.wishes import DEFAULT_NETWORK, Rule, rules_of, scheme
from im.topology.model import Network, NodeGroup, Port

PUBLIC = {"id": "ext-1", "name": "public", "router:external": True}
OTHER = {"id": "ext-2", "name": "other", "router:external": True}
CAMPUS = {"id": "net-1", "name": "campus", "router:external": False}
LAB = {"id": "net-2", "name": "lab", "router:external": False}
CLOUD = [PUBLIC, CAMPUS, LAB]


def wants(*networks, cloud=CLOUD):
    return scheme(Environment("0a1b2c3d", "lab", networks), cloud)


def test_without_a_network_in_the_template_one_is_made():
    found = wants()
    assert list(found.new) == [DEFAULT_NETWORK]
    assert found.external == PUBLIC


def test_a_private_network_is_made_with_its_range_or_a_free_one():
    found = wants(Network("a"), Network("b", cidr="10.64.0.0/24"), Network("c"))
    assert found.new["b"] == "10.64.0.0/24"
    assert len(set(found.new.values())) == 3
    assert found.new["a"] != "10.64.0.0/20"


def test_an_existing_network_is_used_and_none_is_made():
    found = wants(Network("private", existing="lab"), Network("public", public=True))
    assert (found.inner, found.new) == ({"private": LAB}, {})


def test_a_public_network_lends_addresses_to_the_private_one():
    found = wants(Network("public", public=True))
    assert (list(found.new), found.external, found.direct) == ([DEFAULT_NETWORK], PUBLIC, {})


def test_a_network_outside_that_is_not_behind_a_router_is_plugged_into():
    found = wants(Network("public", public=True, existing="campus"))
    assert (found.direct, found.new) == ({"public": CAMPUS}, {})


def test_the_named_external_network_is_taken():
    found = wants(Network("public", public=True, existing="other"), cloud=[PUBLIC, OTHER])
    assert found.external == OTHER


def test_of_several_external_networks_the_sites_default_is_taken():
    assert wants(cloud=[PUBLIC, {**OTHER, "is_default": True}]).external["name"] == "other"


def test_several_external_networks_are_named_to_choose_from():
    with pytest.raises(InputError, match="2 external networks") as caught:
        wants(cloud=[PUBLIC, OTHER])
    assert "other, public" in caught.value.hint


def test_a_cloud_may_have_no_external_network():
    assert wants(cloud=[LAB]).external is None


def test_an_unknown_network_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="no network 'labb'") as caught:
        wants(Network("private", existing="labb"))
    assert "lab" in caught.value.hint


def test_a_name_that_two_networks_have_needs_an_id():
    with pytest.raises(InputError, match="2 networks called") as caught:
        wants(Network("private", existing="lab"), cloud=[PUBLIC, LAB, {**LAB, "id": "net-9"}])
    assert "net-9" in caught.value.hint
    assert (
        wants(Network("private", existing="net-9"), cloud=[PUBLIC, LAB, {**LAB, "id": "net-9"}]).inner["private"]["id"]
        == "net-9"
    )


def test_overlapping_ranges_are_refused():
    with pytest.raises(InputError, match="overlaps"):
        wants(Network("a", cidr="10.1.0.0/16"), Network("b", cidr="10.1.2.0/24"))


@pytest.mark.parametrize("cidr", ["10.1.0.0/40", "nonsense", "2001:db8::/64"])
def test_what_is_no_range_is_refused(cidr):
    with pytest.raises(InputError, match="not a range"):
        wants(Network("a", cidr=cidr))


def test_a_group_opens_its_ports_and_ranges():
    ports = (Port(80, 80), Port(9000, 9100, "udp", "192.0.2.7/24"), Port(8080, 8080, "TCP", "2001:db8::/32"))
    assert rules_of(NodeGroup("web", ports=ports)) == {
        Rule("tcp", 80, 80, "0.0.0.0/0"),
        Rule("udp", 9000, 9100, "192.0.2.0/24"),
        Rule("tcp", 8080, 8080, "2001:db8::/32"),
    }


def test_ssh_is_open_only_where_we_come_from_outside():
    ssh = Rule("tcp", 22, 22, "0.0.0.0/0")
    assert rules_of(NodeGroup("worker")) == frozenset()
    assert rules_of(NodeGroup("front", front_end=True)) == rules_of(NodeGroup("edge", public=True)) == {ssh}


def test_a_rule_is_written_for_its_ip_version():
    assert Rule("tcp", 1, 1, "2001:db8::/32").body("sg")["ethertype"] == "IPv6"
    assert Rule("tcp", 1, 1, "0.0.0.0/0").body("sg")["ethertype"] == "IPv4"


def test_icmp_has_no_ports():
    assert rules_of(NodeGroup("ping", ports=(Port(0, 0, "icmp"),))) == {Rule("icmp", None, None, "0.0.0.0/0")}
