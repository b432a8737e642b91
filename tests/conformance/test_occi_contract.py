"""The providers' contract against a small site of each dialect: what listings tell, and how creates answer, differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loopback import serving
from toy_site import ToySite

from im.config import OcciSite, Settings
from im.providers.contract import ProviderContract
from im.providers.occi import OcciProvider


@pytest.mark.parametrize("manner", ["ooi", "rocci-1", "rocci-2"], indirect=True)
class TestOcciKeepsTheContractInEveryDialect(ProviderContract):
    patience = 20.0

    @pytest.fixture
    def manner(self, request):
        return request.param

    @pytest.fixture
    def provider(self, manner):
        toy = ToySite(manner)
        with serving(toy) as server:
            toy.url = server.origin
            site = OcciSite(endpoint=server.origin, auth="none", make_networks=True, parallel=3)
            yield OcciProvider(Settings(occi={"toy": site}), "occi:toy")

    def spec(self, environment, image, index=1, token=""):
        return replace(super().spec(environment, image, index, token), flavor="http://site.test/resource#small")

    def test_the_dialect_was_found(self, provider, manner):
        assert provider.check()[0].message.endswith(f"dialect {manner}")

    def test_sizes_are_the_same_in_every_unit(self, provider):
        sizes = {flavor.cpus: flavor.memory for flavor in provider.catalog().flavors}
        assert sizes == {1: 512 << 20, 4: 8 << 30}
