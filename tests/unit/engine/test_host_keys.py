"""Which host key a server begins with, and which one is accepted from when on."""

import pytest
from engine_lab import cluster

from im.errors import NotReachable
from im.plan.model import InfrastructureState, NodeState
from im.providers.base import Capability


@pytest.fixture
def begun(lab):
    """Public host keys by node name, as they were given to the cloud."""
    keys, create = {}, lab.provider.create

    def remember(specs):
        keys.update({spec.name: spec.identity.host_public_key for spec in specs})
        return create(specs)

    lab.provider.create = remember
    return keys


def known_hosts(lab):
    ring = lab.engine()._world.keys(lab.record.id)
    return {line.split(",")[0]: line.split(" ", 1)[1] for line in ring.known_hosts.read_text().splitlines()}


def test_servers_that_are_made_alike_begin_with_one_key_and_end_with_their_own(lab, begun):
    lab.deploy()
    assert begun["worker-1"] == begun["worker-2"] != begun["front-end"]
    ring = lab.engine()._world.keys(lab.record.id)
    assert {node.name: node.host_public_key for node in lab.record.nodes} == {
        name: ring.host_key(name).public for name in ("front-end", "worker-1", "worker-2")
    }


def test_a_front_end_that_is_alone_begins_with_its_own(lab, begun):
    lab.deploy()
    assert begun["front-end"] == lab.node("front-end").host_public_key


def test_servers_that_are_made_one_by_one_begin_with_their_own(lab, begun):
    lab.provider.capabilities -= {Capability.MULTI_CREATE}
    lab.deploy()
    assert begun == {node.name: node.host_public_key for node in lab.record.nodes}


def test_nodes_that_are_added_later_begin_with_the_same_key(lab, begun):
    lab.deploy()
    lab.engine().scale("demo", {"worker": 3})
    assert begun["worker-3"] == begun["worker-1"]
    assert lab.node("worker-3").host_public_key != begun["worker-3"]


def test_a_common_key_is_known_only_for_nodes_that_have_not_had_their_own(lab, begun):
    seen = {}

    def reach(cluster, node):
        seen.setdefault(node.name, known_hosts(lab))
        if node.name == "worker-2" and "worker-1" not in seen:
            raise NotReachable("not yet")

    lab.contextualizer.reach = reach
    lab.deploy()
    assert seen["worker-1"]["worker-2"] == begun["worker-2"]
    engine = lab.engine()
    engine._world.keys(lab.record.id).write_known_hosts(lab.record.nodes)
    assert begun["worker-1"] not in known_hosts(lab).values()


def test_what_is_only_provisioned_is_known_by_the_common_key(lab, begun):
    record = lab.engine().deploy("demo", "fake", cluster(), until=InfrastructureState.PROVISIONED)
    assert {node.host_public_key for node in record.nodes} == set(begun.values())
    assert {node.state for node in record.nodes} == {NodeState.BOOTING}
