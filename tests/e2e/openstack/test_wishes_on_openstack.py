"""What a template can ask for beside size and image, as nova and neutron show it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.e2e_openstack


@pytest.fixture
def campus(project) -> Iterator[str]:
    """Make a network of the site's, shared with this project, whose addresses are public."""
    network = project.admin.network
    made = network.create_network(name=f"campus-{secrets.token_hex(3)}")
    network.create_subnet(network_id=made.id, ip_version=4, cidr="203.0.113.0/24", is_dhcp_enabled=False)
    network.create_rbac_policy(
        object_type="network", object_id=made.id, action="access_as_shared", target_project_id=project.id
    )
    yield made.name
    network.delete_network(made)


@pytest.fixture
def key(project) -> Iterator[str]:
    compute = project.own.compute
    made = compute.create_keypair(name=f"mine-{secrets.token_hex(3)}")
    yield made.name
    compute.delete_keypair(made)


def test_what_the_site_has_already_is_used(user, project, campus, key, unchanged):
    ran = user.deploy("wishes.yaml", f"campus={campus}", f"key={key}")
    assert ran.status == 0, ran
    (server,) = project.own.compute.servers()
    assert (server.key_name, server.availability_zone, [*server.addresses]) == (key, "fake", [campus])
    data = project.admin.compute.get(f"/servers/{server.id}", microversion="2.3").json()["server"]
    sent = base64.b64decode(data["OS-EXT-SRV-ATTR:user_data"]).decode()
    assert "#cloud-config" in sent
    assert "echo hello" in sent
    (group,) = project.own.compute.server_groups()
    assert group.member_ids == [server.id]
    (node,) = json.loads(user.run("show", "tier", "--json").out)["nodes"]
    assert node["public_address"] == node["private_address"] == server.addresses[campus][0]["addr"]
    assert node["public_address"].startswith("203.0.113.")
    made = {thing.split()[0] for thing in project.listing()}
    assert not made & {"network", "subnet", "router", "floating"}, made
    assert user.run("delete", "tier", "--yes").status == 0
