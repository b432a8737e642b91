import json
from dataclasses import replace
from pathlib import Path

from im.contextualize.attributes import attributes
from im.contextualize.inventory import SSH_CONFIG, group_name, home_is_shared, inventory
from im.contextualize.recipes import packages
from im.data_files import data_folder
from im.ssh.keys import KeyRing


def hosts(cluster, topology):
    return inventory(cluster, topology)["all"]["hosts"]


def variables(cluster, topology):
    return inventory(cluster, topology)["all"]["vars"]


def test_the_front_end_works_on_itself_without_ssh(cluster, topology):
    assert hosts(cluster, topology())["front"]["ansible_connection"] == "local"


def test_other_nodes_are_reached_over_their_private_address(cluster, topology):
    worker = hosts(cluster, topology())["worker-1"]
    assert (worker["ansible_host"], worker["ansible_user"]) == ("10.0.0.2", "root")
    assert "ansible_become" not in worker


def test_an_account_that_is_not_root_becomes_root(cluster, topology):
    nodes = tuple(replace(node, user="debian") for node in cluster.nodes)
    assert hosts(replace(cluster, nodes=nodes), topology())["worker-1"]["ansible_become"] is True


def test_host_keys_are_checked_among_the_nodes_too(cluster, topology):
    assert "StrictHostKeyChecking yes\n" in SSH_CONFIG
    assert "UserKnownHostsFile /etc/im/ssh/known_hosts\n" in SSH_CONFIG
    assert "-F /etc/im/ssh/config" in (data_folder("contextualization") / "ansible.cfg").read_text()
    known = variables(cluster, topology())["im_known_hosts"]
    for node in cluster.nodes:
        assert f"{node.name},{node.private_address} ssh-ed25519 " in known


def test_each_node_group_is_an_inventory_group_that_cannot_be_mistaken_for_a_host(cluster, topology):
    children = inventory(cluster, topology())["all"]["children"]
    assert list(children["group_worker"]["hosts"]) == ["worker-1", "worker-2"]
    assert group_name("my-front.end") == "group_my_front_end"


def test_no_private_key_is_in_the_inventory(cluster, topology):
    text = json.dumps(inventory(cluster, topology()))
    assert "PRIVATE KEY" not in text
    assert KeyRing(Path(cluster.keys)).client_public in text


def test_packages_are_the_union_over_the_roles_of_a_nodes_group(cluster, topology, software):
    found = hosts(cluster, topology(software("mpi", "openmpi"), software("ud", "udocker", "front")))
    assert "openmpi-bin" in found["worker-1"]["im_packages"]
    assert "openmpi-bin" not in found["front"]["im_packages"]
    assert set(packages(["base"])) <= set(found["front"]["im_packages"])


def test_what_prepares_the_shared_home_is_installed_on_the_front_end_only(cluster, topology, software):
    both = topology(software("a", "udocker", "front"), software("b", "udocker"))
    assert "curl" in hosts(cluster, both)["front"]["im_packages"]
    assert "curl" not in hosts(cluster, both)["worker-1"]["im_packages"]
    alone = replace(cluster, shared=())
    assert not home_is_shared(alone)
    assert "curl" in hosts(alone, both)["worker-1"]["im_packages"]


def test_variables_of_the_cluster_reach_the_recipes(cluster, topology):
    assert variables(cluster, topology())["im_shared_cores"] is False
    shared = replace(cluster, variables={"im_shared_cores": True})
    assert variables(shared, topology())["im_shared_cores"] is True


def test_attributes_are_lists_in_the_order_of_the_nodes(cluster, topology):
    backwards = replace(cluster, nodes=cluster.nodes[::-1])
    found = attributes(backwards, topology())
    assert found["worker"]["private_address"] == ["10.0.0.2", "10.0.0.3"]
    assert found["front"]["name"] == ["front"]
