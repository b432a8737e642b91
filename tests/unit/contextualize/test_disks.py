"""What nodes mount: volumes of their own, and folders of the front-end where the cloud does not share them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from im.contextualize.inventory import by_nfs, inventory, node_packages, used_roles
from im.contextualize.playbook import site
from im.plan.model import AttachedVolume
from im.topology.model import NodeGroup, Topology, Volume

DEVICE = "/dev/disk/by-id/virtio-1234"


@pytest.fixture
def apart(cluster):
    """The same cluster on a cloud that shares no folders."""
    return replace(cluster, variables={"im_nfs": True})


def with_worker(**worker):
    return Topology(groups=(NodeGroup("front", front_end=True), NodeGroup("worker", count=2, **worker)))


def host(cluster, topology, name="worker-1"):
    return inventory(cluster, topology)["all"]["hosts"][name]


def test_a_node_knows_its_volumes_with_the_devices_that_they_are(cluster):
    attached = (AttachedVolume("data", "id", DEVICE),)
    cluster = replace(cluster, nodes=(*cluster.nodes[:1], replace(cluster.nodes[1], volumes=attached)))
    found = host(cluster, with_worker(volumes=(Volume("data", 1 << 30, "/data", "xfs"),)))
    assert found["im_volumes"] == [
        {"name": "data", "device": DEVICE, "mount": "/data", "file_system": "xfs", "existing": False}
    ]
    assert found["im_volume_packages"] == ["xfsprogs"]


def test_without_a_device_there_is_only_a_folder_and_nothing_to_install(cluster):
    found = host(cluster, with_worker(volumes=(Volume("data", 1 << 30, "/data", "xfs"),)))
    assert found["im_volumes"][0]["device"] == ""
    assert found["im_volume_packages"] == []


def test_nodes_mount_what_their_group_shares_and_the_home_that_all_share(apart):
    topology = with_worker(shared=("/home", "/scratch"))
    apart = replace(apart, shared=("/home", "/scratch"))
    assert host(apart, topology)["im_shared"] == ["/home", "/scratch"]
    assert host(apart, topology, "front")["im_shared"] == []
    assert inventory(apart, topology)["all"]["vars"]["im_exported"] == ["/home", "/scratch"]


def test_the_front_end_has_the_server_and_the_others_the_client(apart):
    packages = node_packages(apart, with_worker())
    assert {"nfs-common", "nfs-kernel-server"} <= set(packages["front"])
    assert "nfs-common" in packages["worker-1"]
    assert "nfs-kernel-server" not in packages["worker-1"]
    assert used_roles(apart, with_worker()) == ("base", "nfs")


def test_where_the_cloud_shares_folders_nobody_needs_nfs(cluster):
    assert by_nfs(cluster) == ()
    assert used_roles(cluster, with_worker()) == ("base",)
    assert host(cluster, with_worker(shared=("/home",)))["im_shared"] == []


def test_a_front_end_that_is_alone_shares_nothing(apart):
    assert by_nfs(replace(apart, nodes=apart.nodes[:1])) == ()


def test_folders_are_exported_before_they_are_mounted():
    base, _, server, client = site((), nfs=True).plays
    assert base["roles"] == ["base"]
    assert (server["hosts"], client["hosts"]) == ("all:!im_others", "im_others")
    assert [play["tasks"][0]["ansible.builtin.import_role"]["tasks_from"] for play in (server, client)] == [
        "server",
        "client",
    ]
