"""Which nodes a topology asks for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.errors import InputError
from im.plan.desired import desired_nodes, node_name, request_of, scaled
from im.plan.model import Node, NodeState
from im.topology.model import Hardware, Mark, NodeGroup, OperatingSystem, Port, Topology


def topology(*groups):
    return Topology(groups=groups)


FRONT = NodeGroup("front_end", front_end=True)


def names(wanted, rows=()):
    return [node.name for node in desired_nodes(wanted, rows)]


def rows(*indices, state=NodeState.READY, group="worker"):
    return [Node("i", f"{group}-{index}", group, index, f"t{index}", state) for index in indices]


def test_the_front_end_comes_first_and_has_the_name_of_its_group():
    assert names(topology(NodeGroup("worker", count=2), FRONT)) == ["front-end", "worker-1", "worker-2"]


def test_of_several_front_ends_the_first_is_the_control_node():
    nodes = desired_nodes(topology(replace(FRONT, count=2)))
    assert [(node.name, node.front_end) for node in nodes] == [("front-end-1", True), ("front-end-2", False)]


def test_a_single_worker_has_a_number_so_that_it_keeps_its_name_when_there_are_more():
    assert node_name(NodeGroup("Work_Er.Node", count=1), 1) == "work-er-node-1"


def test_host_names_are_not_too_long():
    assert len(node_name(NodeGroup("x" * 200, count=1), 123_456)) <= 63


def test_two_groups_that_would_share_a_name_are_refused_with_the_place():
    wanted = topology(FRONT, NodeGroup("a_b", count=1), NodeGroup("a-b", count=1, mark=Mark("t.yaml", 7)))
    with pytest.raises(InputError, match="groups a_b and a-b both name a node 'a-b-1'") as caught:
        desired_nodes(wanted)
    assert caught.value.where == "t.yaml:7:1: a-b"


@pytest.mark.parametrize("groups", [(NodeGroup("worker"),), (FRONT, FRONT), (replace(FRONT, count=0),)])
def test_there_is_exactly_one_front_end(groups):
    with pytest.raises(InputError, match="exactly one front-end"):
        desired_nodes(topology(*groups))


def test_who_exists_stays_while_there_are_enough_places():
    assert names(topology(FRONT, NodeGroup("worker", count=3)), rows(2, 5)) == [
        "front-end",
        "worker-1",
        "worker-2",
        "worker-5",
    ]


def test_of_too_many_the_highest_index_goes():
    assert names(topology(FRONT, NodeGroup("worker", count=2)), rows(1, 2, 3, 4))[1:] == ["worker-1", "worker-2"]


def test_of_too_many_the_removal_list_goes_first():
    wanted = topology(FRONT, NodeGroup("worker", count=2, removal_list=("worker-1", "worker-3")))
    assert names(wanted, rows(1, 2, 3, 4))[1:] == ["worker-2", "worker-4"]


def test_the_removal_list_may_say_ids_of_the_cloud():
    wanted = topology(FRONT, NodeGroup("worker", count=1, removal_list=("", "id-1")))
    have = [replace(row, id=f"id-{row.index}") for row in rows(1, 2)]
    assert names(wanted, have)[1:] == ["worker-2"]
    assert names(wanted, rows(1, 2))[1:] == ["worker-1"]


def test_of_too_many_what_is_broken_goes_before_what_works():
    wanted = topology(FRONT, NodeGroup("worker", count=2))
    assert names(wanted, rows(1, state=NodeState.FAILED) + rows(2, 3))[1:] == ["worker-2", "worker-3"]


def test_whose_deletion_has_begun_does_not_come_back_for_another():
    wanted = topology(FRONT, NodeGroup("worker", count=2))
    assert names(wanted, rows(1, state=NodeState.DELETING) + rows(2, 3))[1:] == ["worker-2", "worker-3"]


@given(
    count=st.integers(0, 8),
    existing=st.dictionaries(st.integers(1, 12), st.sampled_from(list(NodeState)), max_size=8),
    removal=st.sets(st.integers(1, 12)),
)
def test_there_are_always_as_many_as_wanted_and_nobody_is_exchanged_for_no_reason(count, existing, removal):
    group = NodeGroup("worker", count=count, removal_list=tuple(f"worker-{index}" for index in removal))
    have = [row for index, state in existing.items() for row in rows(index, state=state)]
    wanted = names(topology(FRONT, group), have)[1:]
    living = {row.name for row in have if row.state is not NodeState.GONE}
    assert len(wanted) == len(set(wanted)) == count
    assert len(living & set(wanted)) == min(count, len(living))


@given(count=st.integers(1, 4), existing=st.sets(st.integers(1, 6)))
def test_the_front_end_is_always_wanted(count, existing):
    have = [
        replace(row, front_end=row.index == 1, name=node_name(replace(FRONT, count=count), row.index))
        for row in rows(*existing, group="front_end")
    ]
    nodes = desired_nodes(topology(replace(FRONT, count=count, removal_list=("front-end", "front-end-1"))), have)
    assert [node.index for node in nodes if node.front_end] == [1]
    assert len(nodes) == count


# other counts


def test_scaling_changes_only_the_groups_it_names():
    wanted = scaled(topology(FRONT, NodeGroup("a", count=2), NodeGroup("b", count=2)), {"a": 5})
    assert [group.count for group in wanted.groups] == [1, 5, 2]


@pytest.mark.parametrize("count", [1, 6])
def test_scaling_keeps_the_limits_of_the_template(count):
    with pytest.raises(InputError, match=f"group worker cannot have {count} nodes") as caught:
        scaled(topology(FRONT, NodeGroup("worker", count=3, min_count=2, max_count=5)), {"worker": count})
    assert caught.value.hint == "between 2 and 5"


def test_a_single_front_end_stays_single():
    with pytest.raises(InputError, match="the number of front-ends in front_end"):
        scaled(topology(FRONT), {"front_end": 2})


# what was asked for


@pytest.mark.parametrize(
    "change",
    [
        {"hardware": Hardware(cpus=2)},
        {"os": OperatingSystem(image="other")},
        {"networks": ("n",)},
        {"public": True},
        {"ports": (Port(80, 80),)},
        {"shared": ("/home",)},
    ],
)
def test_what_only_a_new_server_can_change_is_another_request(change):
    assert request_of(NodeGroup("worker")) != request_of(NodeGroup("worker", **change))


@pytest.mark.parametrize(
    "change", [{"count": 7}, {"mark": Mark("other.yaml")}, {"on_failure": "abort"}, {"works": False}]
)
def test_what_any_server_serves_is_the_same_request(change):
    assert request_of(NodeGroup("worker")) == request_of(NodeGroup("worker", **change))


def test_fingerprints_in_old_databases_stay_valid():
    assert request_of(NodeGroup("worker")) == "800f141b2ae0100e"
