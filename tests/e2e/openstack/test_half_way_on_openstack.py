"""A cloud that has room for a part only: what works stays, the rest is named, and the same command goes on later."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from faulty import Behaviour
from openstack.network.v2.subnet import Subnet

pytestmark = pytest.mark.e2e_openstack


def servers(project) -> dict[str, tuple[str, str]]:
    """Id and status of each server by the name of its node."""
    return {one.name.split("-", 3)[3]: (one.id, one.status) for one in project.own.compute.servers()}


def goes_on(user, project, *words: str, cloud: str = "mine") -> None:
    """Check that the same command completes what is there, and that ``delete`` removes all of it."""
    before = servers(project)["frontend"]
    again = user.deploy("pair.yaml", *words, cloud=cloud)
    assert again.status == 0, again
    after = servers(project)
    assert after["frontend"] == before
    assert {status for _, status in after.values()} == {"ACTIVE"}
    assert {"worker-1", "worker-2"} <= after.keys()
    assert user.run("delete", "tier", "--yes").status == 0


def test_a_quota_that_ends_between_the_groups(user, through, project, allowed, unchanged):
    """It sufficed when it was asked for; when the servers are, somebody else has taken the rest."""
    asked = []

    def shrink(_: int, method: str, path: str) -> None:
        if (method, path) == ("POST", "compute/v2.1/servers") and not asked:
            asked.append(path)
            allowed(instances=1)

    cloud = through("shrinking", Behaviour(told=shrink))
    ran = user.deploy("pair.yaml", "workers=2", cloud=cloud)
    assert ran.status == 1, ran
    assert all(word in ran.text for word in ("Quota exceeded", "worker-1", "worker-2", "[req-")), ran.text
    assert {name: status for name, (_, status) in servers(project).items()} == {"frontend": "ACTIVE"}
    project.as_before()
    goes_on(user, project, "workers=2", cloud=cloud)


@pytest.fixture
def homeless(project) -> Iterator[str]:
    """Make a flavor of this project's that no host of the cloud can run; it is no group's smallest."""
    compute = project.admin.compute
    name = f"homeless-{secrets.token_hex(3)}"
    flavor = compute.create_flavor(name=name, vcpus=2, ram=1024, disk=4, is_public=False)
    compute.flavor_add_tenant_access(flavor, project.id)
    compute.create_flavor_extra_specs(flavor, {"capabilities:hypervisor_type": "nobodys"})
    yield flavor.name
    compute.delete_flavor(flavor)


@pytest.mark.long
def test_servers_that_no_host_takes(user, project, homeless, unchanged):
    """The group's policy is to replace them: each is tried three times in all."""
    ran = user.deploy("pair.yaml", "workers=2", f"flavor={homeless}")
    assert ran.status == 1, ran
    assert all(word in ran.text for word in ("No valid host", "worker-1", "worker-2", "[req-")), ran.text
    assert servers(project)["frontend"][1] == "ACTIVE"
    assert ran.text.count("creating it again") == 4, ran.text
    goes_on(user, project, "workers=2", "flavor=m1.nano")


def pool(last: str) -> list[dict[str, str]]:
    """Addresses of the crowded network; the first is its router's."""
    return [{"start": "198.51.100.2", "end": last}]


@pytest.fixture
def crowded(project) -> Iterator[Subnet]:
    """Make the range of an external network, of this project only, that has one address."""
    network = project.admin.network
    made = network.create_network(name=f"crowded-{secrets.token_hex(3)}")
    network.create_rbac_policy(
        object_type="network", object_id=made.id, action="access_as_external", target_project_id=project.id
    )
    yield network.create_subnet(
        name=made.name,
        network_id=made.id,
        ip_version=4,
        cidr="198.51.100.0/29",
        is_dhcp_enabled=False,
        allocation_pools=pool("198.51.100.2"),
    )
    network.delete_network(made)


@pytest.mark.long
def test_an_external_network_without_an_address_left(user, project, crowded, unchanged):
    words = ("workers=2", f"outside={crowded.name}")
    ran = user.deploy("pair.yaml", *words)
    assert ran.status == 1, ran
    assert all(word in ran.text for word in ("no public address for", "No more IP addresses", "[req-")), ran.text
    assert len(servers(project)) == 3
    project.admin.network.update_subnet(crowded, allocation_pools=pool("198.51.100.3"))
    goes_on(user, project, *words)
