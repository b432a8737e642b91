"""What our objects carry, and how servers of one call are told apart."""

from datetime import datetime, timedelta, timezone

import pytest

from im.plan.model import NodeSpec
from im.providers.openstack.marks import (
    LONGEST_BATCH,
    Batch,
    Mark,
    batches,
    described,
    from_metadata,
    infrastructure_of,
    mark_of,
    moment,
    name_filter,
    name_of,
    time_of,
    to_metadata,
)


def spec(index, name="", group="worker", **more):
    return NodeSpec("0a1b2c3d", group, index, name or f"worker-{index}", f"{index:016x}", 1, 1, "image", **more)


@pytest.mark.parametrize("numbers", [[1], range(1, 4), range(1, 65), range(1, LONGEST_BATCH + 1), [3, 7, 20]])
def test_metadata_says_who_each_server_of_a_call_is(numbers):
    batch = Batch.of([spec(index) for index in numbers])
    metadata = to_metadata(batch)
    assert from_metadata(metadata) == batch
    assert len(metadata) <= 100
    assert all(len(key) <= 255 and len(value) <= 255 for key, value in metadata.items())


def test_names_of_any_form_are_carried():
    batch = Batch.of([spec(1, "frontend"), spec(2, "other")])
    assert from_metadata(to_metadata(batch)) == batch


def test_metadata_of_others_is_not_ours():
    assert from_metadata({}) is None
    assert from_metadata({"im.infrastructure": "x"}) is None
    assert from_metadata({"im.infrastructure": "x", "im.group": "y", "im.nodes.000": "what:ever"}) is None


def test_the_k_th_server_is_the_k_th_node():
    batch = Batch.of([spec(index) for index in (4, 5, 9)])
    base = batch.base("lab")
    assert [batch.node(f"{base}-{k}").name for k in (1, 2, 3)] == ["worker-4", "worker-5", "worker-9"]
    assert batch.node(f"{base}-4") is None
    assert batch.node("renamed") is None


def test_a_server_that_was_made_alone_is_known_whatever_its_name():
    assert Batch.of([spec(7)]).node("whatever").index == 7


def test_servers_are_called_by_their_nodes():
    assert Batch.of([spec(1), spec(2)]).base("My Lab") == "im-0a1b2c3d-my-lab-worker"
    assert Batch.of([spec(1, "frontend")]).base("lab") == "im-0a1b2c3d-lab-frontend"
    assert Batch.of([spec(3), spec(4)]).base("lab") == "im-0a1b2c3d-lab-worker-3"


def test_names_are_host_names():
    name = name_of("0a1b2c3d", "x" * 60, "y" * 60)
    assert len(f"{name}-500") <= 63
    assert name.startswith("im-0a1b2c3d-x")
    assert name.endswith("y")


def test_names_of_different_groups_stay_different_when_they_are_cut():
    names = {name_of("0a1b2c3d", "l" * 60, f"{'g' * 50}-{k}") for k in range(20)}
    assert len(names) == 20


def test_a_description_carries_a_mark():
    mark = Mark("0a1b2c3d", "group", "my group: x")
    assert mark_of(described(mark)) == mark
    assert mark_of(described(Mark("0a1b2c3d", "router"))) == Mark("0a1b2c3d", "router")


@pytest.mark.parametrize("text", [None, "", "a network", "im:", "im: x", "im:zz router", "my im:0a1b2c3d router"])
def test_descriptions_of_others_are_not_ours(text):
    assert mark_of(text) is None


def test_an_infrastructure_is_read_from_a_name():
    assert infrastructure_of("im-0a1b2c3d-lab-worker") == "0a1b2c3d"
    assert infrastructure_of("im-portant-server") == ""


def test_the_filter_of_a_listing_finds_the_names():
    assert name_filter("0a1b2c3d") == "^im-0a1b2c3d-"
    assert name_filter(None) == "^im-"


def test_equal_specs_go_into_one_call():
    found = batches([spec(2), spec(1), spec(1, "front", group="frontend"), spec(3, availability_zone="z")])
    assert sorted([one.name for one in batch] for batch in found) == [["front"], ["worker-1", "worker-2"], ["worker-3"]]


def test_a_call_is_not_larger_than_its_metadata():
    found = batches([spec(index) for index in range(1, LONGEST_BATCH + 2)])
    assert [len(batch) for batch in found] == [LONGEST_BATCH, 1]


@pytest.mark.parametrize("key", ["", "net-1", "a group until further notice"])
@pytest.mark.parametrize("until", ["", "2030-01-01T00:00:00Z"])
def test_a_mark_may_say_how_long_the_infrastructure_lives(key, until):
    mark = Mark("0a1b2c3d", "inside", key, until)
    assert mark_of(described(mark)) == mark


def test_moments_are_told_in_utc():
    summer = datetime(2030, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert moment(summer) == "2030-07-01T10:00:00Z"
    assert time_of(moment(summer)) == summer
    assert time_of("2030-07-01T10:00:00") == summer
    assert moment(None) == ""


def test_an_end_that_somebody_has_written_by_hand_need_not_be_a_time():
    mark = mark_of("im:0a1b2c3d inside until 2030-99-01T00:00:00Z")
    assert mark
    assert time_of(mark.until) is None
