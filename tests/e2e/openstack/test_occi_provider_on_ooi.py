"""The provider through a real OCCI server, ooi, in front of a real Nova: the contract, addresses, volumes, networks."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from msgspec import structs
from ooi_site import Ooi, connect

from im.config import Settings
from im.errors import NotPermitted
from im.plan.model import NodeSpec
from im.providers.base import Environment
from im.providers.contract import ProviderContract, all_are, ignore, make_identity
from im.providers.occi import OcciProvider
from im.providers.occi.client import Client
from im.providers.occi.marks import network_mark
from im.providers.occi.model import COMPUTE, COMPUTE_ACTION, NETWORK, Resource
from im.topology.model import Network, Volume

pytestmark = [pytest.mark.e2e_openstack, pytest.mark.long]

PATIENCE = 180.0


@pytest.fixture(scope="module")
def ooi() -> Ooi:
    return connect()


@pytest.fixture(scope="module")
def shared_provider(ooi) -> OcciProvider:
    return OcciProvider(Settings(occi={"ooi": ooi.site}), "occi:ooi")


@pytest.fixture(scope="module")
def image(shared_provider) -> str:
    return next(one.id for one in shared_provider.catalog().images if one.name == "tiny-fake")


@pytest.fixture(scope="module")
def flavor(shared_provider) -> str:
    return next(one.id for one in shared_provider.catalog().flavors if one.name == "m1.nano")


class TestOcciKeepsTheContractThroughOoi(ProviderContract):
    patience = PATIENCE

    @pytest.fixture
    def provider(self, shared_provider):
        return shared_provider

    @pytest.fixture
    def image(self, provider, flavor):
        self.flavor = flavor
        return next(one.id for one in provider.catalog().images if one.name == "tiny-fake")

    def spec(self, environment, image, index=1, token=""):
        return replace(super().spec(environment, image, index, token), flavor=self.flavor)


class Deployed:
    """One server of an infrastructure of its own, ended after the test whatever happens."""

    def __init__(self, provider: OcciProvider, image: str, flavor: str) -> None:
        self.provider = provider
        self.infrastructure = secrets.token_hex(4)
        self.spec = NodeSpec(
            infrastructure=self.infrastructure,
            group="worker",
            index=1,
            name="worker-1",
            token=secrets.token_hex(8),
            cpus=1,
            memory=256 << 20,
            image=image,
            flavor=flavor,
            identity=make_identity(),
        )

    def start(self):
        (made,) = self.provider.create([self.spec])
        self.settle(all_are("active"))
        return made.id

    def settle(self, wanted):
        end = time.monotonic() + PATIENCE
        while not wanted(found := self.provider.list(self.infrastructure)):
            assert time.monotonic() < end, found
            time.sleep(1)
        return found

    def end(self) -> None:
        self.provider.delete([one.id for one in self.provider.list(self.infrastructure)])
        self.settle(lambda found: not found)
        end = time.monotonic() + PATIENCE
        while left := self.provider.release(self.infrastructure):
            assert time.monotonic() < end, left
            time.sleep(1)


@pytest.fixture
def deployed(shared_provider, image, flavor) -> Iterator[Deployed]:
    deployed = Deployed(shared_provider, image, flavor)
    yield deployed
    deployed.end()


@pytest.fixture
def homeless(ooi) -> Iterator[str]:
    """Make an image that no compute of the cloud can run."""
    name = f"homeless-{secrets.token_hex(3)}"
    image = ooi.connection.create_image(name, data=bytes(65536), disk_format="raw", img_hv_type="xen", wait=True)
    yield name
    ooi.connection.image.delete_image(image)


# logging in


def test_an_application_credential_of_the_sites_keystone_logs_in(ooi, monkeypatch):
    connection = ooi.connection
    user = connection.current_user_id
    credential = connection.identity.create_application_credential(user, f"tier-{secrets.token_hex(3)}")
    try:
        monkeypatch.setenv("TIER_SECRET", credential.secret)
        changes = {"auth": "application-credential", "credential": credential.id, "secret_env": "TIER_SECRET"}
        assert Client(structs.replace(ooi.site, **changes), "occi:ooi").listing(NETWORK)
    finally:
        connection.identity.delete_application_credential(user, credential.id)


def test_a_token_of_the_sites_keystone_logs_in(ooi, monkeypatch):
    monkeypatch.setenv("TIER_TOKEN", ooi.connection.auth_token)
    site = structs.replace(ooi.site, auth="token", secret_env="TIER_TOKEN")
    assert Client(site, "occi:ooi").listing(NETWORK)


def test_a_wrong_password_is_told_in_words(ooi, monkeypatch):
    monkeypatch.setenv("TIER_SECRET", "wr0ng-w0rd")
    with pytest.raises(NotPermitted, match="does not accept the login") as caught:
        Client(structs.replace(ooi.site, secret_env="TIER_SECRET"), "occi:ooi").discover()
    assert "wr0ng-w0rd" not in str(caught.value)


# what becomes of a server


def test_user_data_reaches_nova(ooi, deployed):
    deployed.start()
    server = ooi.connection.compute.get_server(ooi.servers(deployed.infrastructure)["worker-1"].id)
    assert server.name == str(f"worker-1:im:{deployed.infrastructure}:1:{deployed.spec.token}:worker")
    admin = ooi.connection.__class__(cloud="stack-admin")
    stored = admin.compute.get_server(server.id).user_data
    assert base64.b64decode(stored).decode().startswith("#cloud-config")


def test_a_build_that_failed_is_seen_although_ooi_calls_it_inactive(ooi, deployed, homeless):
    provider = deployed.provider = OcciProvider(Settings(occi={"ooi": ooi.site}), "occi:ooi")
    image = next(one.id for one in provider.catalog().images if one.name == homeless)
    deployed.spec = replace(deployed.spec, image=image)
    provider.create([deployed.spec])
    began = time.monotonic()
    (failed,) = deployed.settle(all_are("error"))
    assert time.monotonic() - began < 60
    assert "vm_state error" in failed.message


def test_a_restart_is_novas_reboot(ooi, deployed):
    client = Client(ooi.site, "occi:ooi")
    id_ = deployed.start()
    client.act(client.place(COMPUTE, id_), f"{COMPUTE_ACTION}restart")
    assert "reboot" in {one.action for one in ooi.connection.compute.server_actions(id_)}
    deployed.settle(all_are("active"))


def test_an_update_is_novas_resize(ooi, deployed, shared_provider):
    client = Client(ooi.site, "occi:ooi")
    id_ = deployed.start()
    tiny = next(one.id for one in shared_provider.catalog().flavors if one.name == "m1.tiny")
    client.update(client.place(COMPUTE, id_), Resource("", mixins=(tiny,)))
    assert "resize" in {one.action for one in ooi.connection.compute.server_actions(id_)}


def test_a_public_address_is_neutrons_and_goes_with_its_server(ooi, deployed):
    id_ = deployed.start()
    address = deployed.provider.publish(id_)
    assert deployed.provider.publish(id_) == address
    (floating,) = ooi.floating(address)
    assert floating.port_id
    (listed,) = deployed.provider.list(deployed.infrastructure)
    assert listed.public_address == address
    assert listed.private_address not in {"", address}
    deployed.end()
    assert ooi.floating(address) == []


def test_a_volume_is_cinders_and_goes_with_its_infrastructure(ooi, deployed):
    deployed.spec = replace(deployed.spec, volumes=(Volume("data", size=1 << 30),))
    deployed.start()
    end = time.monotonic() + PATIENCE
    while not deployed.provider.attach([deployed.spec]):
        assert time.monotonic() < end
        time.sleep(1)
    (listed,) = deployed.settle(lambda found: bool(found[0].volumes))
    (volume,) = ooi.volumes(deployed.infrastructure)
    assert [(one.name, one.id) for one in listed.volumes] == [("data", volume.id)]
    assert volume.attachments[0]["server_id"] == listed.id
    deployed.end()
    assert ooi.volumes(deployed.infrastructure) == []


def test_a_private_network_is_neutrons_and_goes_with_its_infrastructure(ooi, deployed):
    deployed.provider = OcciProvider(Settings(occi={"ooi": structs.replace(ooi.site, make_networks=True)}), "occi:ooi")
    networks = (Network("lan", cidr="10.99.7.0/24"),)
    deployed.provider.prepare(Environment(deployed.infrastructure, "net", networks=networks), ignore)
    deployed.spec = replace(deployed.spec, networks=("lan",))
    deployed.start()
    (server,) = deployed.provider.list(deployed.infrastructure)
    assert server.private_address.startswith("10.99.7.")
    deployed.end()
    marks = [network_mark(one.name) for one in ooi.connection.network.networks()]
    assert deployed.infrastructure not in {mark.infrastructure for mark in marks if mark}
