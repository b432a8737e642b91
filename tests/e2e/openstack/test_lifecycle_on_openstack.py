"""A sub-cluster's life on the fake compute: servers that exist in every API and run nothing."""

from __future__ import annotations

import json
import re

import pytest
from faulty import Behaviour

pytestmark = pytest.mark.e2e_openstack


def nodes(user, project) -> dict[str, str]:
    """The status of each server by the name of its node, as nova says; our servers are ``im-<id>-<cluster>-<node>``."""
    return {server.name.split("-", 3)[3]: server.status for server in project.own.compute.servers()}


def test_deploy_scale_stop_start_and_delete(user, project, unchanged):
    deployed = user.deploy("pair.yaml", "workers=2", "flavor=m1.nano")
    assert deployed.status == 0, deployed
    assert nodes(user, project) == dict.fromkeys(("frontend", "worker-1", "worker-2"), "ACTIVE")
    (address,) = project.own.network.ips(project_id=project.id)
    shown = json.loads(user.run("show", "tier", "--json").out)
    assert shown["state"] == "provisioned"
    assert address.floating_ip_address in json.dumps(shown)
    network, tag = project.own.network, f"im:{shown['id']}"
    for listed in (network.networks, network.subnets, network.routers, network.security_groups, network.ips):
        assert list(listed(tags=tag)), f"{listed.__name__} by tag"
    assert len(list(project.own.compute.servers(tags=tag))) == 3

    assert user.run("scale", "tier", "worker=3").status == 0
    assert set(nodes(user, project)) == {"frontend", "worker-1", "worker-2", "worker-3"}
    assert user.run("scale", "tier", "worker=1").status == 0
    assert set(nodes(user, project)) == {"frontend", "worker-1"}

    assert user.run("stop", "tier").status == 0
    assert set(nodes(user, project).values()) == {"SHUTOFF"}
    assert user.run("start", "tier").status == 0
    assert set(nodes(user, project).values()) == {"ACTIVE"}
    assert user.run("delete", "tier", "--yes").status == 0


def test_two_groups_cost_two_creates_and_no_server_is_asked_for_alone(user, through, unchanged):
    asked = []
    cloud = through("counted", Behaviour(told=lambda _, method, path: asked.append(f"{method} {path}")))
    assert user.deploy("pair.yaml", "workers=4", cloud=cloud).status == 0
    assert user.run("delete", "tier", "--yes").status == 0
    assert asked.count("POST compute/v2.1/servers") == 2
    assert [call for call in asked if re.match(r"GET compute/v2\.1/servers\?", call)]
    assert not [call for call in asked if re.match(r"GET compute/v2\.1/servers/[0-9a-f-]{36}", call)]


def test_what_was_deployed_is_found_and_removed_without_the_store(user, project, unchanged):
    assert user.deploy("pair.yaml").status == 0
    for file in user.home.glob("im.db*"):
        file.unlink()
    found = user.run("gc", "--cloud", "mine")
    assert "orphan" in found.text, found
    assert user.run("gc", "--cloud", "mine", "--orphans").status == 0
    assert nodes(user, project) == {}


def test_what_has_outlived_its_lifetime_is_collected_by_anybody(user, unchanged):
    assert user.deploy("pair.yaml", ttl="1s").status == 0
    id_ = json.loads(user.run("show", "tier", "--json").out)["id"]
    for file in user.home.glob("im.db*"):
        file.unlink()
    collected = user.run("gc", "--cloud", "mine")
    assert (collected.status, collected.out.split()) == (0, ["deleted", id_]), collected


def test_check_says_of_each_service_whether_it_can_be_used(user):
    checked = user.run("providers", "check", "--cloud", "mine")
    assert checked.status == 0, checked
    assert all(word in checked.text for word in ("compute", "network", "image", "quota")), checked.text
