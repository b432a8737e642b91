"""How servers and rows are put together, and what a server's status says about a node."""

import pytest

from im.plan.model import Instance, Node, NodeState
from im.plan.observe import bind, state_seen, updated


def row(name, token, state=NodeState.READY, **more):
    return Node("i", name, "worker", 1, token, state, **more)


def server(id_, token, status="active", name="worker-1", **more):
    return Instance(id_, "i", "worker", 1, name, token, status, **more)


def test_rows_and_servers_meet_by_their_token():
    found = bind([row("worker-1", "t1")], [server("a", "t1")], {"worker-1"})
    assert found.instances["worker-1"].id == "a"
    assert found.strays == found.adopted == ()


def test_of_two_servers_with_one_token_the_one_we_know_stays():
    rows = [row("worker-1", "t1", id="b")]
    found = bind(rows, [server("a", "t1"), server("b", "t1", "building")], {"worker-1"})
    assert found.instances["worker-1"].id == "b"
    assert [stray.id for stray in found.strays] == ["a"]


def test_of_two_servers_with_one_token_that_we_do_not_know_the_better_one_stays():
    found = bind([row("worker-1", "t1")], [server("a", "t1", "error"), server("b", "t1")], {"worker-1"})
    assert found.instances["worker-1"].id == "b"


def test_a_server_without_a_row_is_adopted_if_its_name_is_wanted_and_free():
    found = bind([], [server("a", "t1")], {"worker-1"})
    assert [server.id for server in found.adopted] == ["a"]


@pytest.mark.parametrize(("rows", "wanted"), [([row("worker-1", "other")], {"worker-1"}), ([], set())])
def test_a_server_whose_name_is_taken_or_not_wanted_is_a_stray(rows, wanted):
    found = bind(rows, [server("a", "t1")], wanted)
    assert [server.id for server in found.strays] == ["a"]


def test_a_server_that_is_going_already_is_nobodys_concern():
    found = bind([], [server("a", "t1", "deleting")], {"worker-1"})
    assert found.strays == found.adopted == ()


@pytest.mark.parametrize(
    ("before", "status", "after"),
    [
        (NodeState.REQUESTED, "building", NodeState.BUILDING),
        (NodeState.BUILDING, "active", NodeState.BOOTING),
        (NodeState.READY, "active", NodeState.READY),
        (NodeState.READY, "stopped", NodeState.STOPPED),
        (NodeState.STOPPED, "active", NodeState.BOOTING),
        (NodeState.READY, "error", NodeState.FAILED),
        (NodeState.DELETING, "active", NodeState.DELETING),
        (NodeState.DELETING, "error", NodeState.DELETING),
        (NodeState.LOST, "active", NodeState.BOOTING),
        (NodeState.READY, "building", NodeState.READY),
    ],
)
def test_a_status_says_what_state_a_node_is_in(before, status, after):
    assert state_seen(row("worker-1", "t", before, id="a"), server("a", "t", status)) is after


def test_a_node_whose_server_is_there_although_its_creation_failed_goes_on():
    assert state_seen(row("worker-1", "t", NodeState.FAILED), server("a", "t")) is NodeState.BOOTING
    assert state_seen(row("worker-1", "t", NodeState.FAILED, id="a"), server("a", "t")) is NodeState.FAILED


def test_addresses_are_not_forgotten_while_a_listing_does_not_show_them():
    known = row("worker-1", "t", id="a", private_address="10.0.0.1")
    assert updated(known, server("a", "t", "building")) is known
    assert updated(known, server("a", "t", public_address="192.0.2.1")).private_address == "10.0.0.1"
