import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from im.errors import SshError
from im.plan.model import Cluster, Node
from im.ssh.config import config_file, make_socket_folder, socket_folder, ssh_config
from im.ssh.connection import command, ssh_error


def node(name: str, private: str, public: str = "", **values) -> Node:
    return Node("1a2b3c4d", name, "g", 1, "t", private_address=private, public_address=public, **values)


@pytest.fixture
def cluster(tmp_path) -> Cluster:
    nodes = (node("front", "10.0.0.1", "192.0.2.7", front_end=True), node("worker-1", "10.0.0.2", user="debian"))
    return Cluster("1a2b3c4d", "lab", "hpc", str(tmp_path / "keys"), nodes)


def options(cluster: Cluster, name: str) -> dict[str, str]:
    """What the system's ssh makes of the configuration for one node."""
    line = ["ssh", "-G", "-F", str(config_file(cluster)), name]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    return dict(each.split(" ", 1) for each in shown.splitlines() if " " in each)


def test_the_front_end_is_reached_by_its_public_address(cluster):
    found = options(cluster, "front")
    assert (found["hostname"], found["user"]) == ("192.0.2.7", "root")
    assert "proxyjump" not in found


def test_workers_are_reached_by_their_private_address_through_the_front_end(cluster):
    found = options(cluster, "worker-1")
    assert (found["hostname"], found["user"], found["proxyjump"]) == ("10.0.0.2", "debian", "front")


def test_workers_are_reached_directly_where_the_cloud_allows_it(cluster):
    assert "proxyjump" not in options(replace(cluster, via_front_end=False), "worker-1")


@pytest.mark.parametrize("name", ["front", "worker-1"])
def test_host_keys_are_always_checked_against_ours_and_only_ours(cluster, name):
    found = options(cluster, name)
    assert found["stricthostkeychecking"] == "true"
    assert found["userknownhostsfile"] == str(Path(cluster.keys) / "known_hosts")
    assert found["globalknownhostsfile"] == "/dev/null"
    assert found["identitiesonly"] == "yes"


def test_a_broken_node_is_noticed_within_fifteen_seconds(cluster):
    found = options(cluster, "front")
    assert int(found["serveraliveinterval"]) * int(found["serveralivecountmax"]) <= 15


def test_connections_are_shared_over_a_short_private_path(cluster, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    folder = make_socket_folder(cluster)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(str(folder)) + 1 + 64 + 18 < 104
    folder.rmdir()


def test_two_infrastructures_never_share_a_connection(cluster, tmp_path):
    assert socket_folder(cluster) != socket_folder(replace(cluster, keys=str(tmp_path / "other")))


def test_a_socket_folder_that_others_can_enter_is_refused(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr("im.ssh.config.socket_folder", lambda _: tmp_path)
    tmp_path.chmod(0o755)
    with pytest.raises(SshError, match="not a private folder"):
        make_socket_folder(cluster)


def test_nodes_without_an_address_are_left_out(cluster):
    waiting = replace(cluster, nodes=(*cluster.nodes, node("worker-2", "")))
    assert "worker-2" not in ssh_config(waiting)


def test_a_command_line_names_the_node_and_the_account(cluster):
    line = command(cluster, cluster.front_end, user="hpc", tty=True)
    assert (line[0], line[-3:], "-t" in line) == ("ssh", ["-l", "hpc", "front"][-3:], True)


def test_a_changed_host_key_is_told_in_words(cluster):
    said = b"@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n"
    error = ssh_error(cluster.front_end, said)
    assert error.message == "the host key is not the one that was given to the node"
    assert error.where == "node front (192.0.2.7)"


def test_what_ssh_says_last_is_the_message(cluster):
    said = b"ssh: connect to host 192.0.2.7 port 22: Connection refused\n"
    assert ssh_error(cluster.front_end, said).message.endswith("Connection refused")


def test_what_the_remote_command_wrote_is_not_taken_for_sshs_own_words(cluster):
    assert ssh_error(cluster.front_end, b"debconf: delaying\n").message == "the ssh connection broke"
