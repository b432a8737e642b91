"""Volumes: attached before a node counts as there, kept in the store; a folder takes their place on other clouds."""

import pytest
from engine_lab import cluster

from im.errors import ProviderError
from im.plan.model import AttachedVolume, InfrastructureState, NodeState
from im.providers.base import Capability
from im.topology.model import Volume

DATA = Volume("data", 10 << 30, "/data")


def with_volumes():
    return cluster(volumes=(DATA,))


def test_every_node_of_the_group_has_its_volume_and_the_store_knows_it(lab):
    record = lab.deploy(with_volumes())
    assert record.state is InfrastructureState.READY
    assert {node.name: node.volumes for node in record.nodes} == {
        "front-end": (),
        "worker-1": (AttachedVolume("data", "fake-2-data", "/dev/disk/by-id/fake-data"),),
        "worker-2": (AttachedVolume("data", "fake-3-data", "/dev/disk/by-id/fake-data"),),
    }


def test_a_node_is_not_asked_before_it_has_its_volumes(lab):
    lab.behave(attach_time=60.0)
    asked = {}
    answers = lab.contextualizer.reach

    def reach(cluster, node):
        asked.setdefault(node.name, node.volumes)
        answers(cluster, node)

    lab.contextualizer.reach = reach
    lab.deploy(with_volumes())
    assert [volume.name for volume in asked["worker-1"]] == ["data"]


def test_all_volumes_are_asked_for_in_one_call_and_not_again_once_they_are_attached(lab):
    lab.deploy(with_volumes())
    assert lab.provider.calls["attach"] == 1
    lab.behave()
    lab.deploy(with_volumes())
    assert lab.provider.calls["attach"] == 0


def test_a_cloud_that_never_attaches_is_given_up(lab):
    lab.behave(attach_time=10_000.0)
    with pytest.raises(ProviderError, match="the cloud has not finished it"):
        lab.deploy(with_volumes())
    assert lab.node("worker-1").state is NodeState.FAILED


def test_provisioned_means_with_volumes(lab):
    lab.behave(attach_time=60.0)
    record = lab.engine().deploy("demo", "fake", with_volumes(), until=InfrastructureState.PROVISIONED)
    assert all(node.volumes for node in record.nodes if node.group == "worker")


def test_a_deploy_that_was_interrupted_attaches_what_is_missing(lab):
    attach = lab.provider.attach
    lab.provider.attach = lambda specs: (_ for _ in ()).throw(KeyboardInterrupt)
    try:
        lab.deploy(with_volumes())
    except KeyboardInterrupt:
        lab.provider.attach = attach
    assert lab.deploy(with_volumes()).state is InfrastructureState.READY
    assert all(node.volumes for node in lab.record.nodes if node.group == "worker")


def test_without_volumes_the_root_disk_takes_their_place_and_that_is_said(lab):
    lab.provider.capabilities -= {Capability.VOLUMES}
    record = lab.deploy(cluster(volumes=(DATA,), boot_volume=20 << 30))
    assert record.state is InfrastructureState.READY
    assert lab.provider.calls["attach"] == 0
    (note,) = [event for event in lab.events if event.code == "volumes"]
    assert note.message == "this cloud has no volumes: /data, the system disk of worker is on the root disk"
