"""Deploying until the servers run, and no further."""

from dataclasses import replace

import pytest
from engine_lab import cluster

from im.errors import ProviderError
from im.plan.model import InfrastructureState, NodeState
from im.providers.base import Capability
from im.topology.model import Output

PROVISIONED = InfrastructureState.PROVISIONED


@pytest.fixture
def mute(lab):
    """A cloud whose servers have no operating system: whoever connects to one finds nobody, and is found out."""
    asked = []
    lab.contextualizer.reach = lambda cluster, node: asked.append(node.name)
    lab.provider.capabilities -= {Capability.DIRECT}
    return asked


def provision(lab, topology=None):
    return lab.engine().deploy("demo", "fake", topology or cluster(), until=PROVISIONED)


def test_it_ends_when_every_server_runs_and_has_its_addresses_and_nobody_was_asked(lab, mute):
    record = provision(lab, replace(cluster(), outputs=(Output("text", "fixed"),)))
    assert record.state is PROVISIONED
    assert record.outputs == {"text": "fixed"}
    assert {node.state for node in record.nodes} == {NodeState.BOOTING}
    assert all(node.private_address for node in record.nodes)
    assert [node.name for node in record.nodes if node.public_address] == ["front-end"]
    assert (mute, lab.contextualizer.done) == ([], [])
    assert lab.codes("demo").count("provisioned") == 1


def test_it_does_not_wait_for_what_nobody_asks(lab, mute):
    provision(lab, cluster(workers=50))
    assert lab.clock.monotonic() < 10 * 1.3


def test_twice_is_as_good_as_once(lab, mute):
    first = provision(lab)
    lab.events.clear()
    lab.behave()
    assert provision(lab) == first
    assert lab.events == []
    assert dict(lab.provider.calls) == {"catalog": 1, "list": 1}


def test_a_later_deploy_goes_on_to_ready_with_the_same_servers(lab):
    provision(lab)
    ids = {server.id for server in lab.provider.servers()}
    assert lab.deploy().state is InfrastructureState.READY
    assert {server.id for server in lab.provider.servers()} == ids


def test_scaling_goes_as_far_as_the_deploy(lab, mute):
    provision(lab)
    record = lab.engine().scale("demo", {"worker": 4})
    assert (record.state, len(lab.servers), mute) == (PROVISIONED, 5, [])


def test_starting_goes_as_far_as_the_deploy(lab, mute):
    provision(lab)
    lab.engine().stop("demo")
    record = lab.engine().start("demo")
    assert (record.state, mute) == (PROVISIONED, [])
    assert {server.status for server in lab.provider.servers()} == {"active"}


def test_a_node_that_is_stopped_is_missing_until_it_is_started(lab, mute):
    provision(lab)
    assert lab.engine().stop("demo", "worker-1").state is InfrastructureState.DEGRADED
    assert lab.engine().start("demo", "worker-1").state is PROVISIONED


def test_a_server_in_error_is_missing(lab, mute):
    lab.behave(errors={"worker-2": 1})
    record = provision(lab)
    assert record.state is InfrastructureState.DEGRADED
    assert record.message == "worker-2 is failed: no valid host was found"
    assert provision(lab).state is PROVISIONED


def test_a_server_that_never_gets_an_address_is_given_up(lab, mute):
    listing = lab.provider.list
    lab.provider.list = lambda infrastructure=None: tuple(
        replace(one, private_address="") if one.name == "worker-1" else one for one in listing(infrastructure)
    )
    record = provision(lab)
    assert record.state is InfrastructureState.DEGRADED
    assert "worker-1 is failed: the cloud has not finished it" in record.message


def test_no_server_at_all_is_a_failure(lab, mute):
    lab.behave(errors={"worker-1": 1, "worker-2": 1})
    with pytest.raises(ProviderError, match="no valid host was found"):
        provision(lab)


def test_what_is_ready_and_does_not_change_stays_ready(lab):
    lab.deploy()
    lab.behave()
    assert provision(lab).state is InfrastructureState.READY
    assert lab.provider.calls["create"] == 0


def test_what_was_ready_and_grows_is_only_provisioned(lab):
    lab.deploy()
    record = provision(lab, cluster(workers=3))
    assert record.state is PROVISIONED
    assert lab.node("worker-3").state is NodeState.BOOTING
    assert lab.deploy(cluster(workers=3)).state is InfrastructureState.READY


def test_what_was_interrupted_while_it_was_configured_is_provisioned(lab):
    lab.store.write(replace(lab.deploy(), state=InfrastructureState.CONFIGURING))
    assert provision(lab).state is PROVISIONED


def test_why_has_nothing_to_say_about_it(lab, mute):
    provision(lab)
    (line,) = lab.engine().why("demo")
    assert "demo is provisioned since" in line
    assert "no process works on it" not in line


def test_a_server_that_vanishes_is_seen(lab, mute):
    provision(lab)
    lab.provider.forget("worker-1")
    assert lab.engine().refresh("demo").state is InfrastructureState.DEGRADED
