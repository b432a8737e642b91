"""The OpenStack provider keeps the contract on a real cloud: ``IM_TEST_CLOUD`` names it, as in clouds.yaml."""

import os
from dataclasses import replace

import pytest

from im.config import Settings
from im.providers.contract import ProviderContract
from im.providers.openstack import OpenStackProvider

CLOUD = os.environ.get("IM_TEST_CLOUD", "")
ZONE = os.environ.get("IM_TEST_ZONE", "")

pytestmark = pytest.mark.skipif(not CLOUD, reason="OpenStack tier: IM_TEST_CLOUD names no cloud of clouds.yaml")


@pytest.fixture(scope="module")
def one_provider():
    return OpenStackProvider(Settings(), CLOUD)


class TestOpenStackKeepsTheContract(ProviderContract):
    patience = 120.0

    @pytest.fixture
    def provider(self, one_provider):
        return one_provider

    def spec(self, *words, **more):
        return replace(super().spec(*words, **more), availability_zone=ZONE)
