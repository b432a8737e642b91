"""Deploying: what is created, in which order, and what a second deploy does."""

from dataclasses import replace

import pytest
from engine_lab import cluster

from im.errors import ContextualizationError, InputError, NoCapacity, NotReachable, PreflightError
from im.plan.model import InfrastructureState, NodeState
from im.topology.model import Hardware, NodeGroup, Output, Software, Topology


def test_a_deploy_ends_with_all_nodes_ready(lab):
    record = lab.deploy(cluster(workers=3))
    assert record.state is InfrastructureState.READY
    assert [node.name for node in record.nodes] == ["front-end", "worker-1", "worker-2", "worker-3"]
    assert {node.state for node in record.nodes} == {NodeState.READY}
    assert lab.servers == ["front-end", "worker-1", "worker-2", "worker-3"]


def test_every_node_goes_through_all_states_and_each_is_an_event(lab):
    lab.deploy()
    path = ["requested", "building", "booting", "reachable", "configuring", "ready"]
    assert lab.codes("worker-1") == path
    stored = [event.code for event in lab.store.events(lab.record.id) if event.subject == "worker-1"]
    assert stored == path


def test_a_deploy_takes_hardly_longer_than_the_slowest_node(lab):
    lab.deploy(cluster(workers=50))
    assert lab.clock.monotonic() < (10 + 5) * 1.3


def test_a_group_is_created_with_one_call(lab):
    lab.deploy(cluster(workers=50))
    assert lab.provider.calls["create"] == 2


def test_waiting_costs_few_listings(lab):
    lab.behave(build_time=300.0)
    lab.deploy()
    assert lab.provider.calls["list"] < 120


def test_servers_get_what_the_template_asks_for(lab):
    lab.deploy(cluster(hardware=Hardware(cpus=3)))
    node = lab.node("worker-1")
    assert (node.cpus, node.slots, node.flavor, node.image) == (4, 4, "flavor-4", "image-debian-12")
    assert lab.node("front-end").slots == 0


def test_if_no_group_works_the_front_end_does(lab):
    lab.deploy(Topology(groups=(NodeGroup("alone", front_end=True, works=False, hardware=Hardware(cpus=2)),)))
    assert lab.node("alone").slots == 2


def test_the_same_deploy_twice_changes_nothing(lab):
    first = lab.deploy()
    lab.events.clear()
    lab.behave()
    second = lab.deploy()
    assert second == first
    assert lab.events == []
    assert dict(lab.provider.calls) == {"catalog": 1, "list": 1}
    assert lab.contextualizer.done.count("configure") == 1


def test_a_deploy_with_more_nodes_adds_them_and_configures_all_again(lab):
    lab.deploy(cluster(workers=1))
    ids = {server.id for server in lab.provider.servers()}
    record = lab.deploy(cluster(workers=3))
    assert record.state is InfrastructureState.READY
    assert ids < {server.id for server in lab.provider.servers()}
    assert lab.contextualizer.done.count("configure") == 2


def test_a_deploy_with_other_software_only_configures(lab):
    lab.deploy()
    ids = {server.id for server in lab.provider.servers()}
    lab.deploy(replace(cluster(), software=(Software("mpi", "im.nodes.OpenMPI", "worker"),)))
    assert {server.id for server in lab.provider.servers()} == ids
    assert lab.contextualizer.done.count("configure") == 2


def test_a_deploy_with_larger_workers_replaces_them(lab):
    lab.deploy()
    record = lab.deploy(cluster(hardware=Hardware(cpus=4)))
    assert [node.cpus for node in record.nodes if node.group == "worker"] == [4, 4]
    assert len(lab.servers) == 3


def test_a_larger_front_end_is_refused_because_it_holds_the_data(lab):
    lab.deploy()
    groups = cluster().groups
    larger = Topology(groups=(replace(groups[0], hardware=Hardware(cpus=8)), groups[1]))
    with pytest.raises(InputError, match="would replace the front-end front-end and lose its data"):
        lab.deploy(larger)
    assert lab.record.state is InfrastructureState.READY


def test_the_front_end_gets_its_tools_while_the_workers_boot(lab):
    steps = []

    def reach(cluster, node):
        if not node.front_end and lab.clock.monotonic() <= 60:
            raise NotReachable("not yet")

    lab.contextualizer.reach = reach
    lab.contextualizer.prepare = lambda cluster, emit: steps.append(lab.clock.monotonic())
    lab.deploy()
    assert steps[0] < 60
    assert len(steps) == 1


def test_what_cannot_be_met_is_said_before_anything_is_touched(lab):
    with pytest.raises(NoCapacity):
        lab.deploy(cluster(hardware=Hardware(cpus=1000)))
    assert lab.store.infrastructures() == ()
    assert lab.servers == []


def test_a_failed_configuration_leaves_the_nodes_and_the_next_deploy_continues(lab):
    lab.contextualizer.failures["configure"] = ContextualizationError("task failed", where="node worker-1, role mpi")
    with pytest.raises(ContextualizationError):
        lab.deploy()
    ids = {server.id for server in lab.provider.servers()}
    assert lab.record.state is InfrastructureState.FAILED
    assert lab.record.reason == "contextualize"
    assert "node worker-1, role mpi: task failed" in lab.record.message
    assert {node.state for node in lab.record.nodes} == {NodeState.REACHABLE}
    lab.contextualizer.failures.clear()
    assert lab.deploy().state is InfrastructureState.READY
    assert {server.id for server in lab.provider.servers()} == ids


def test_nothing_is_ready_before_the_preflight_has_passed(lab):
    lab.contextualizer.failures["preflight"] = PreflightError("worker-2 cannot resolve its own name")
    with pytest.raises(PreflightError):
        lab.deploy()
    assert lab.record.state is InfrastructureState.FAILED
    lab.contextualizer.failures.clear()
    assert lab.deploy().state is InfrastructureState.READY


def test_an_infrastructure_does_not_change_clouds(lab):
    lab.deploy()
    with pytest.raises(InputError, match="demo is on cloud fake, not on local"):
        lab.engine().deploy("demo", "local", cluster())


def test_a_name_must_be_fit_for_files_and_hosts(lab):
    with pytest.raises(InputError, match="cannot be the name"):
        lab.engine().deploy("../etc", "fake", cluster())


def test_nothing_private_is_stored(lab):
    lab.deploy()
    content = b"".join(path.read_bytes() for path in lab.settings.home.glob("im.db*"))
    assert b"PRIVATE KEY" not in content
    assert b"ssh-ed25519" in content


def test_outputs_are_evaluated_when_all_is_ready(lab):
    outputs = (Output("front_end", {"get_attribute": ["front_end", "private_address"]}), Output("text", "fixed"))
    record = lab.deploy(replace(cluster(), outputs=outputs))
    assert record.outputs["text"] == "fixed"
