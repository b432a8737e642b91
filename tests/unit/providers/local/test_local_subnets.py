"""Which subnet an infrastructure gets, and which address a node."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.errors import AddressInUse, InputError, NoCapacity
from im.providers.local import subnets

ROUTES = [
    {"dst": "default", "dev": "eth0"},
    {"dst": "10.77.0.0/24", "dev": "docker0"},
    {"dst": "10.77.1.7", "dev": "tun0"},
    {"dst": "10.77.2.0/24", "dev": "iml00000001"},
]
ADDRESSES = [
    {"ifname": "eth0", "addr_info": [{"family": "inet", "local": "10.77.3.9", "prefixlen": 24}]},
    {"ifname": "eth1", "addr_info": [{"family": "inet6", "local": "fe80::1", "prefixlen": 64}]},
    {"ifname": "iml00000001", "addr_info": [{"family": "inet", "local": "10.77.2.1", "prefixlen": 24}]},
]


def nets(*texts):
    return {IPv4Network(text) for text in texts}


def test_routes_and_addresses_occupy_networks_but_the_default_route_does_not():
    assert subnets.occupied(ROUTES, ADDRESSES, "") == nets(
        "10.77.0.0/24", "10.77.1.7/32", "10.77.2.0/24", "10.77.3.0/24"
    )


def test_the_own_link_of_an_infrastructure_occupies_nothing():
    assert IPv4Network("10.77.2.0/24") not in subnets.occupied(ROUTES, ADDRESSES, "iml00000001")


def test_the_first_subnet_that_overlaps_nothing_is_chosen():
    taken = nets("10.77.0.0/24", "10.77.1.7/32")
    assert subnets.choose("10.77.0.0/16", taken) == IPv4Network("10.77.2.0/24")


def test_a_pool_smaller_than_a_subnet_is_used_whole():
    assert subnets.choose("10.77.9.0/27", ()) == IPv4Network("10.77.9.0/27")


def test_a_pool_in_use_is_an_error_that_names_the_setting():
    with pytest.raises(AddressInUse, match=r"no subnet of 10\.77\.0\.0/16 is free") as caught:
        subnets.choose("10.77.0.0/16", nets("10.0.0.0/8"))
    assert "IM_LOCAL_SUBNETS" in caught.value.hint


def test_a_wanted_subnet_in_use_is_an_error_that_says_by_whom():
    with pytest.raises(AddressInUse, match=r"in use on this machine by 10\.1\.0\.0/24"):
        subnets.demand(IPv4Network("10.1.0.0/16"), nets("10.1.0.0/24", "10.1.0.1/32", "10.9.0.0/16"))


@pytest.mark.parametrize("text", ["", "10.77.0.0", "10.77.0.1/24", "fe80::/64", "10.0.0.0/31", "10.0.0.0/40"])
def test_what_is_no_network_with_room_is_refused(text):
    with pytest.raises(InputError) as caught:
        subnets.network(text, "IM_LOCAL_SUBNETS")
    assert caught.value.where == "IM_LOCAL_SUBNETS"


def test_nodes_get_the_lowest_free_addresses_after_the_routers():
    subnet = IPv4Network("10.77.0.0/24")
    assert subnets.router(subnet) == "10.77.0.1"
    assert subnets.free_addresses(subnet, ["10.77.0.3"], 3) == ("10.77.0.2", "10.77.0.4", "10.77.0.5")


def test_a_full_subnet_is_an_error_before_anything_is_made():
    with pytest.raises(NoCapacity, match="has 5 free addresses, and 6 nodes need one"):
        subnets.free_addresses(IPv4Network("10.77.0.0/29"), (), 6)


@given(st.integers(0, 253))
def test_every_address_has_its_own_link_and_hardware_address(count):
    found = subnets.free_addresses(IPv4Network("10.77.0.0/24"), (), count)
    assert len({subnets.link(one) for one in found} | {subnets.mac(one) for one in found}) == 2 * count
    assert all(len(subnets.link(one)) <= 15 for one in found)
