"""A sub-cluster through a real OCCI server the way a user has it; after each step Nova is asked what it sees."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ooi_site import Ooi, connect

from im.data_files import data_folder

pytestmark = [pytest.mark.e2e_openstack, pytest.mark.long, pytest.mark.timeout(1200)]

CLIENT = Path(sys.executable).with_name("im_client")
NODES = {"frontend", "worker-1", "worker-2"}
INPUTS = {
    "image": "tiny-fake",
    "workers": "2",
    "frontend_cpus": "1",
    "frontend_memory": "256 MiB",
    "worker_cpus": "1",
    "worker_memory": "256 MiB",
}


@dataclass(frozen=True)
class User:
    """Somebody with an ``IM_HOME``, and the sub-cluster that they deployed."""

    home: Path
    name: str
    ooi: Ooi

    def im(self, *words: str, may_fail: bool = False) -> str:
        environment = {**os.environ, "IM_HOME": str(self.home)}
        done = subprocess.run(
            [str(CLIENT), *words], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert may_fail or done.returncode == 0, done.stderr
        return done.stdout

    def deploy(self) -> None:
        inputs = [word for name, value in INPUTS.items() for word in ("--input", f"{name}={value}")]
        template = str(data_folder("tosca_templates") / "mpi_cluster.yaml")
        self.im("deploy", template, "--name", self.name, "--cloud", "occi:ooi", "--until", "provisioned", *inputs)

    def show(self) -> dict:
        return json.loads(self.im("show", self.name, "--json"))

    def addresses(self) -> dict[str, tuple[str, str, str]]:
        kept = ("id", "private_address", "public_address")
        return {node["name"]: tuple(node[key] for key in kept) for node in self.show()["nodes"]}

    def statuses(self) -> dict[str, str]:
        return self.ooi.statuses(self.show()["id"])


@pytest.fixture(scope="module")
def user(tmp_path_factory) -> Iterator[User]:
    ooi = connect()
    user = User(tmp_path_factory.mktemp("home"), f"occi-{secrets.token_hex(3)}", ooi)
    ooi.configure(user.home)
    user.deploy()
    yield user
    user.im("delete", user.name, "--yes", may_fail=True)


def test_every_node_is_one_server_of_nova_and_the_front_end_has_a_public_address(user):
    shown = user.show()
    assert user.statuses() == dict.fromkeys(NODES, "ACTIVE")
    servers = user.ooi.servers(shown["id"])
    for node in shown["nodes"]:
        addresses = {one["addr"] for network in servers[node["name"]].addresses.values() for one in network}
        assert {node["private_address"], node["public_address"]} - {""} == addresses
    (frontend,) = [node for node in shown["nodes"] if node["public_address"]]
    assert frontend["name"] == "frontend"


def test_deploying_again_changes_nothing(user):
    before = {name: server.id for name, server in user.ooi.servers(user.show()["id"]).items()}
    user.deploy()
    assert {name: server.id for name, server in user.ooi.servers(user.show()["id"]).items()} == before


def test_stopped_nodes_are_off_in_nova_and_start_with_their_addresses(user):
    before = user.addresses()
    user.im("stop", user.name)
    assert user.statuses() == dict.fromkeys(NODES, "SHUTOFF")
    user.im("start", user.name)
    assert user.statuses() == dict.fromkeys(NODES, "ACTIVE")
    assert user.addresses() == before


def test_one_node_can_be_stopped_alone(user):
    user.im("stop", user.name, "worker-2")
    assert user.statuses() == {"frontend": "ACTIVE", "worker-1": "ACTIVE", "worker-2": "SHUTOFF"}
    user.im("start", user.name, "worker-2")
    assert user.statuses() == dict.fromkeys(NODES, "ACTIVE")


def test_one_node_is_restarted_and_nobody_else_notices(user):
    infrastructure = user.show()["id"]
    before = user.ooi.actions(infrastructure)
    user.im("restart", user.name, "worker-2")
    assert user.statuses() == dict.fromkeys(NODES, "ACTIVE")
    assert user.ooi.actions(infrastructure) == {**before, "worker-2": [*before["worker-2"], "stop", "start"]}


def test_it_grows_and_shrinks_and_nobody_else_is_touched(user):
    before = {name: server.id for name, server in user.ooi.servers(user.show()["id"]).items()}
    user.im("scale", user.name, "worker=4")
    assert user.statuses() == dict.fromkeys({*NODES, "worker-3", "worker-4"}, "ACTIVE")
    user.im("scale", user.name, "worker=2")
    assert {name: server.id for name, server in user.ooi.servers(user.show()["id"]).items()} == before


def test_a_server_deleted_behind_our_back_is_made_again(user):
    servers = user.ooi.servers(user.show()["id"])
    connection = user.ooi.connection
    connection.compute.delete_server(servers["worker-1"].id)
    connection.compute.wait_for_delete(servers["worker-1"], wait=120)
    user.deploy()
    again = user.ooi.servers(user.show()["id"])
    assert again.keys() == NODES
    assert again["worker-1"].id != servers["worker-1"].id
    assert again["worker-2"].id == servers["worker-2"].id


def test_another_client_without_our_store_sees_what_is_there(user, tmp_path):
    user.ooi.configure(tmp_path)
    stranger = User(tmp_path, user.name, user.ooi)
    assert user.show()["id"] in stranger.im("gc", "--cloud", "occi:ooi")


def test_after_delete_nova_and_neutron_have_nothing_left(user):
    shown = user.show()
    (public,) = [node["public_address"] for node in shown["nodes"] if node["public_address"]]
    user.im("delete", user.name, "--yes")
    assert user.ooi.servers(shown["id"]) == {}
    assert user.ooi.floating(public) == []
