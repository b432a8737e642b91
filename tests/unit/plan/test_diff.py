"""What a deploy would do, and why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from im.errors import InputError
from im.plan.desired import request_of
from im.plan.diff import diff
from im.plan.model import Catalog, Flavor, Image, Instance, Node, NodeState
from im.topology.model import Hardware, NodeGroup, Topology

CATALOG = Catalog(images=(Image("img", "Debian 12"),), flavors=(Flavor("s", "small", 1, 1), Flavor("l", "large", 4, 4)))
FRONT = NodeGroup("front_end", front_end=True)


def cluster(workers=1, **worker):
    return Topology(groups=(FRONT, NodeGroup("worker", count=workers, **worker)))


def row(name, state=NodeState.READY, **changes):
    group, _, index = name.rpartition("-") if name.startswith("worker") else ("front_end", "", "1")
    node = Node("i", name, group, int(index), f"token-{name}", state, id=f"id-{name}", configured="digest")
    return replace(node, front_end=group == "front_end", request=request_of(NodeGroup(group)), **changes)


def server(name, status="active", **changes):
    node = row(name)
    return replace(Instance(node.id, "i", node.group, node.index, name, node.token, status), **changes)


def steps(rows, servers, topology=None, **more):
    plan = diff("demo", topology or cluster(), rows, servers, CATALOG, **more)
    return [(action.kind, action.node, action.reason) for action in plan.changes]


READY = [row("front-end"), row("worker-1")]
RUNNING = [server("front-end"), server("worker-1")]


def test_nothing_there_means_create_everything():
    plan = diff("demo", cluster(), (), (), CATALOG)
    assert [(a.kind, a.node, a.image, a.flavor, a.cpus) for a in plan.actions] == [
        ("create", "front-end", "img", "s", 1),
        ("create", "worker-1", "img", "s", 1),
    ]


def test_all_there_means_no_change():
    assert steps(READY, RUNNING, digest="digest") == []


def test_a_new_member_means_that_all_are_configured_again():
    assert steps(READY, RUNNING, cluster(2)) == [
        ("configure", "front-end", "the members change"),
        ("configure", "worker-1", "the members change"),
        ("create", "worker-2", ""),
    ]


def test_one_member_less_too():
    assert steps(READY, RUNNING, cluster(0)) == [
        ("configure", "front-end", "the members change"),
        ("delete", "worker-1", "not wanted any more"),
    ]


def test_another_digest_means_configure():
    assert steps(READY, RUNNING, digest="new") == [
        ("configure", "front-end", "its software or its settings change"),
        ("configure", "worker-1", "its software or its settings change"),
    ]


@pytest.mark.parametrize(
    ("node", "instance", "step"),
    [
        (row("worker-1"), server("worker-1", "stopped"), ("start", "it is stopped")),
        (row("worker-1"), server("worker-1", "error", message="no host"), ("replace", "no host")),
        (row("worker-1", NodeState.FAILED, message="no SSH"), server("worker-1"), ("replace", "no SSH")),
        (row("worker-1", NodeState.DELETING), server("worker-1"), ("replace", "its deletion has begun")),
        (row("worker-1"), None, ("create", "it is not there any more")),
        (row("worker-1", NodeState.REQUESTED, id=""), None, ("create", "requested, but not there yet")),
        (row("worker-1", NodeState.FAILED, id="", message="no room"), None, ("create", "last time: no room")),
        (row("worker-1", NodeState.BOOTING, configured=""), server("worker-1"), ("configure", "not configured yet")),
        (row("worker-1", NodeState.REACHABLE), server("worker-1"), ("configure", "not known to be ready")),
    ],
)
def test_each_state_has_its_step(node, instance, step):
    servers = [server("front-end")] + ([instance] if instance else [])
    kind, reason = step
    assert (kind, "worker-1", reason) in steps([row("front-end"), node], servers)


def test_a_worker_of_which_something_else_is_asked_is_replaced():
    assert ("replace", "worker-1", "the template asks for something else") in steps(
        READY, RUNNING, cluster(hardware=Hardware(cpus=4))
    )


def test_a_worker_of_which_we_do_not_know_what_was_asked_is_kept():
    rows = [READY[0], row("worker-1")]
    rows[1] = replace(rows[1], request="")
    assert steps(rows, RUNNING, cluster(hardware=Hardware(cpus=4))) == []


def test_a_catalog_with_newer_images_replaces_nothing():
    newer = replace(CATALOG, images=(Image("img2", "Debian 13"),), flavors=CATALOG.flavors[1:])
    assert diff("demo", cluster(), READY, RUNNING, newer).changes == ()


def test_a_configured_front_end_is_never_replaced():
    larger = Topology(groups=(replace(FRONT, hardware=Hardware(cpus=4)), cluster().groups[1]))
    with pytest.raises(InputError, match="would replace the front-end front-end"):
        steps(READY, RUNNING, larger)


def test_a_configured_front_end_is_never_deleted():
    renamed = Topology(groups=(NodeGroup("login", front_end=True),))
    with pytest.raises(InputError, match="would delete the front-end front-end"):
        steps(READY, RUNNING, renamed)


def test_a_configured_front_end_in_error_is_left_for_somebody_to_save_its_data():
    assert steps(READY, [server("front-end", "error"), RUNNING[1]]) == []


def test_a_front_end_that_failed_before_it_was_configured_is_replaced():
    new = row("front-end", NodeState.FAILED, message="no SSH")
    assert steps([replace(new, configured=""), READY[1]], RUNNING)[0] == ("replace", "front-end", "no SSH")


def test_a_duplicate_is_deleted():
    copy = server("worker-1", id="copy")
    assert ("delete", "worker-1", "server copy is one too many") in steps(READY, [*RUNNING, copy])


def test_a_server_with_a_wanted_name_and_no_row_is_kept():
    plan = diff("demo", cluster(), READY[:1], RUNNING, CATALOG)
    assert ("keep", "worker-1", "found by its mark") in [(a.kind, a.node, a.reason) for a in plan.actions]


def test_nodes_that_are_to_be_left_alone_are_left_alone():
    rows = [READY[0], row("worker-1", NodeState.FAILED)]
    assert steps(rows, RUNNING, leave={"worker-1"}) == []


states = st.sampled_from([state for state in NodeState if state is not NodeState.GONE])
statuses = st.sampled_from(["building", "active", "stopped", "error", "deleting", None])


@given(
    count=st.integers(0, 5),
    workers=st.dictionaries(st.integers(1, 6), st.tuples(states, statuses), max_size=6),
)
def test_whatever_the_state_every_wanted_node_has_one_step_and_the_front_end_is_never_lost(count, workers):
    rows = [row("front-end"), *(row(f"worker-{i}", state) for i, (state, _) in workers.items())]
    servers = [server("front-end")]
    servers += [server(f"worker-{i}", status) for i, (_, status) in workers.items() if status]
    plan = diff("demo", cluster(count), rows, servers, CATALOG)
    wanted = [action.node for action in plan.actions if action.kind != "delete"]
    assert len(wanted) == len(set(wanted)) == count + 1
    front_end = [action.kind for action in plan.actions if action.node == "front-end"]
    assert front_end in (["keep"], ["configure"])
    unwanted = {node.name for node in rows} - set(wanted)
    assert unwanted == {action.node for action in plan.actions if action.kind == "delete"}
