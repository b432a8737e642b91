"""The OpenStack provider keeps the contract on a real cloud: ``IM_TEST_CLOUD`` names it, as in clouds.yaml.

``IM_TEST_ZONE`` is the zone for the servers, one of nova's fake driver will do; ``IM_TEST_IMAGE`` the name of an image.
``IM_TEST_SMALL_CLOUD`` names a project with room for two servers.
"""

import os
import time
from dataclasses import replace

import pytest

from im.config import load_settings
from im.errors import NoCapacity
from im.plan.model import AttachedVolume
from im.providers.base import Environment
from im.providers.contract import ProviderContract, all_are, ignore
from im.providers.registry import open_cloud
from im.topology.model import Network, NodeGroup, Port, Volume

CLOUD = os.environ.get("IM_TEST_CLOUD", "")
SMALL = os.environ.get("IM_TEST_SMALL_CLOUD", "")
ZONE = os.environ.get("IM_TEST_ZONE", "")
IMAGE = os.environ.get("IM_TEST_IMAGE", "tiny-fake")
KINDS = ("networks", "subnets", "routers", "ports", "security-groups", "floatingips")

pytestmark = [
    pytest.mark.e2e_openstack,
    pytest.mark.skipif(not CLOUD, reason="OpenStack tier: IM_TEST_CLOUD names no cloud of clouds.yaml"),
]


@pytest.fixture(scope="module")
def one_provider():
    return open_cloud(CLOUD, load_settings())


def marked(provider, infrastructure):
    """Everything on the cloud that names an infrastructure, by kind."""
    found = {}
    for kind in KINDS:
        listed = provider.api.get("network", f"/{kind}")[kind.replace("-", "_")]
        found[kind] = [one for one in listed if infrastructure in f"{one.get('name')} {one.get('description')}"]
    volumes = provider.api.get("block-storage", "/volumes/detail")["volumes"]
    found["volumes"] = [one for one in volumes if infrastructure in str(one["metadata"])]
    groups = provider.api.get("compute", "/os-server-groups")["server_groups"]
    found["server groups"] = [one for one in groups if infrastructure in one["name"]]
    return found


class TestOpenStackKeepsTheContract(ProviderContract):
    patience = 180.0

    @pytest.fixture
    def provider(self, one_provider):
        return one_provider

    @pytest.fixture
    def image(self, provider):
        return next(image.id for image in provider.catalog().images if image.name == IMAGE)

    def spec(self, *words, **more):
        return replace(super().spec(*words, **more), availability_zone=ZONE)

    @pytest.fixture
    def prepared(self, provider, environments):
        """Prepare an infrastructure that wants more than the contract's."""

        def make(*groups, networks=()):
            environment = replace(environments(), groups=groups, networks=networks)
            provider.prepare(environment, ignore)
            return environment

        return make

    def test_everything_that_was_made_is_gone_in_the_end(self, provider, prepared, image):
        group = NodeGroup("worker", placement="soft-anti-affinity", ports=(Port(80, 80),), public=True)
        environment = prepared(group)
        spec = replace(self.spec(environment, image), placement=group.placement, volumes=(Volume("data", 1 << 30),))
        provider.create([spec])
        (server,) = self.settle(provider, environment.infrastructure, all_are("active"))
        address = provider.publish(server.id)
        assert address
        assert provider.publish(server.id) == address
        while not provider.attach([spec]):
            time.sleep(0.5)
        shown = self.settle(provider, environment.infrastructure, lambda found: found[0].public_address == address)
        (volume,) = shown[0].volumes
        assert volume == AttachedVolume("data", volume.id, f"/dev/disk/by-id/virtio-{volume.id[:20]}")
        there = marked(provider, environment.infrastructure)
        assert len(there.pop("floatingips")) <= 1  # none if the project has an unused one
        assert {kind: len(ones) for kind, ones in there.items()} == {
            "networks": 1,
            "subnets": 1,
            "routers": 1,
            "ports": 0,
            "security-groups": 2,
            "volumes": 1,
            "server groups": 1,
        }
        self.end(provider, environment.infrastructure)
        assert not any(marked(provider, environment.infrastructure).values())

    def test_ports_are_opened_and_closed_as_the_template_changes(self, provider, prepared):
        environment = prepared(NodeGroup("web", ports=(Port(80, 80), Port(9000, 9100, "udp", "192.0.2.0/24"))))
        assert rules(provider, environment, "web") == {
            ("tcp", 80, 80, "0.0.0.0/0"),
            ("udp", 9000, 9100, "192.0.2.0/24"),
        }
        changed = replace(environment, groups=(NodeGroup("web", ports=(Port(443, 443),)),))
        provider.prepare(changed, ignore)
        assert rules(provider, environment, "web") == {("tcp", 443, 443, "0.0.0.0/0")}

    def test_an_unused_address_of_the_project_is_used_and_stays_as_it_was(self, provider, prepared, image):
        external = next(one for one in provider.catalog().networks if one.external)
        body = {"floatingip": {"floating_network_id": external.id, "description": "somebody's"}}
        mine = provider.api.post("network", "/floatingips", body)["floatingip"]
        try:
            environment = prepared(NodeGroup("worker", public=True))
            provider.create([self.spec(environment, image)])
            (server,) = self.settle(provider, environment.infrastructure, all_are("active"))
            assert provider.publish(server.id) == mine["floating_ip_address"]
            self.end(provider, environment.infrastructure)
            after = provider.api.get("network", f"/floatingips/{mine['id']}")["floatingip"]
            assert (after["description"], after["port_id"]) == ("somebody's", None)
        finally:
            provider.api.delete("network", f"/floatingips/{mine['id']}")

    def test_an_existing_network_is_used_and_stays(self, provider, image):
        networks = provider.catalog().networks
        existing = next(one for one in networks if not one.external and not one.name.startswith("im-"))
        environment = Environment("0e0e0e0e", "contract", (Network("private", existing=existing.name),))
        try:
            provider.prepare(environment, ignore)
            provider.create([replace(self.spec(environment, image), networks=("private",))])
            self.settle(provider, environment.infrastructure, all_are("active"))
            assert not marked(provider, environment.infrastructure)["networks"]
        finally:
            self.end(provider, environment.infrastructure)
        assert existing in provider.catalog().networks

    def test_a_server_boots_from_a_volume_that_goes_with_it(self, provider, environment, image):
        """A block storage that only pretends cannot copy an image: then nova's own words tell of the volume."""
        before = volume_ids(provider)
        provider.create([replace(self.spec(environment, image), boot_volume=2 << 30)])
        (server,) = self.settle(provider, environment.infrastructure, lambda found: found[0].status != "building")
        assert server.status == "active" or "Volume" in server.message
        self.end(provider, environment.infrastructure)
        assert volume_ids(provider) <= before

    @pytest.mark.skipif(not SMALL, reason="IM_TEST_SMALL_CLOUD names no project with a small quota")
    def test_a_quota_that_does_not_suffice_is_told_with_its_numbers_and_the_request(self, image):
        provider = open_cloud(SMALL, load_settings())
        environment = Environment("0f0f0f0f", "contract")
        try:
            provider.prepare(environment, ignore)
            with pytest.raises(NoCapacity, match=r"Quota exceeded.*Requested 5.*\[req-"):
                provider.create([self.spec(environment, image, index) for index in range(1, 6)])
            assert provider.list(environment.infrastructure) == ()
        finally:
            self.end(provider, environment.infrastructure)


def volume_ids(provider):
    return {one["id"] for one in provider.api.get("block-storage", "/volumes")["volumes"]}


def rules(provider, environment, group):
    """The ways into a group's security group."""
    (found,) = [
        one
        for one in marked(provider, environment.infrastructure)["security-groups"]
        if one["description"].endswith(f"group {group}")
    ]
    return {
        (one["protocol"], one["port_range_min"], one["port_range_max"], one["remote_ip_prefix"])
        for one in found["security_group_rules"]
        if one["direction"] == "ingress"
    }
