"""How much of an account's quota a plan takes, and the words for what is missing."""

import pytest

from im.errors import NoCapacity
from im.plan.model import Action, Catalog, Node, Room
from im.plan.quota import check_quota, needs
from im.topology.model import Network, NodeGroup, Topology, Volume

GIB = 1 << 30


def topology(**worker):
    groups = (NodeGroup("front", front_end=True), NodeGroup("worker", count=2, **worker), NodeGroup("spare", count=0))
    return Topology(groups=groups, networks=(Network("private"), Network("public", public=True)))


def create(node, group="worker", kind="create"):
    return Action(kind, node, group, cpus=4, memory=8 * GIB)


def wanted(*actions, rows=(), public=(), new=False, **worker):
    return needs(actions, topology(**worker), rows, set(public), new=new)


def refusal(needs, free_addresses=0, **quota):
    names = {name.replace("_", "-"): room for name, room in quota.items()}
    catalog = Catalog(quota=names, free_addresses=free_addresses)
    with pytest.raises(NoCapacity) as caught:
        check_quota(needs, catalog, "cloud c")
    return caught.value


def test_each_new_node_takes_a_server_its_size_and_a_port_per_network():
    found = wanted(create("worker-1"), create("worker-2"), networks=("private", "storage"))
    assert found == {"servers": 2, "cpus": 8, "memory": 16 * GIB, "ports": 4}


def test_what_is_kept_started_or_deleted_takes_nothing():
    kinds = ("keep", "start", "delete", "configure")
    assert wanted(*(create("worker-1", kind=kind) for kind in kinds)) == {}


def test_a_replaced_node_takes_only_what_it_is_larger():
    row = Node("i", "worker-1", "worker", 1, "t", cpus=1, memory=16 * GIB)
    assert wanted(create("worker-1", kind="replace"), rows=[row]) == {"cpus": 3}


def test_only_public_nodes_take_a_public_address():
    assert wanted(create("worker-1"), create("worker-2"), public=["worker-2", "front"])["public-addresses"] == 1


def test_a_new_infrastructure_takes_what_is_around_its_nodes():
    found = wanted(create("front", "front"), new=True, placement="affinity")
    around = ("networks", "routers", "security-groups", "server-groups")
    assert {name: found.get(name) for name in around} == dict.fromkeys(around, 1) | {"security-groups": 2}


def test_volumes_count_with_their_space_but_not_those_that_exist():
    volumes = (Volume("data", 10 * GIB, "/data"), Volume("old", existing="id-of-old"))
    found = wanted(create("worker-1"), volumes=volumes, boot_volume=20 * GIB)
    assert (found["volumes"], found["volume-bytes"]) == (2, 30 * GIB)


def test_what_suffices_or_has_no_limit_is_not_mentioned():
    check_quota({"servers": 3, "cpus": 100}, Catalog(quota={"servers": Room(10, 7)}), "cloud c")


def test_every_shortfall_is_named_with_numbers_and_what_to_ask_for():
    quota = {"servers": Room(10, 7), "cpus": Room(20, 15), "memory": Room(50 * GIB, 48 * GIB), "ports": Room(100)}
    error = refusal({"servers": 17, "cpus": 34, "memory": 64 * GIB, "ports": 17}, **quota)
    assert str(error) == (
        "cloud c: the quota of the account does not suffice; servers: 17 wanted, 3 free of 10; "
        "CPUs: 34 wanted, 5 free of 20; memory: 64 GiB wanted, 2 GiB free of 50 GiB "
        "(ask the site for a quota of servers 24, CPUs 49, memory 112 GiB; or ask for less in the template)"
    )


def test_addresses_of_the_account_that_nobody_uses_are_free():
    error = refusal({"public-addresses": 3}, free_addresses=2, public_addresses=Room(5, 5))
    assert "public addresses: 3 wanted, 2 free of 5" in error.message
    assert "public addresses 6;" in error.hint
    catalog = Catalog(quota={"public-addresses": Room(5, 5)}, free_addresses=3)
    check_quota({"public-addresses": 3}, catalog, "cloud c")


def test_an_account_that_is_over_its_quota_has_nothing_free():
    error = refusal({"servers": 1}, servers=Room(2, 5))
    assert "servers: 1 wanted, 0 free of 2" in error.message
    assert "servers 6;" in error.hint
