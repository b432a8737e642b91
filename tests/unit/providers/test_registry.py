"""Providers are found by name."""

import pytest

from im.config import Settings
from im.errors import UnknownName
from im.providers.local import LocalProvider
from im.providers.registry import names, open_cloud


def test_local_is_installed():
    assert "local" in names()


def test_a_cloud_is_a_provider_with_or_without_an_account(tmp_path):
    settings = Settings(home=tmp_path)
    assert isinstance(open_cloud("local", settings), LocalProvider)
    assert open_cloud("local:second", settings).name == "local:second"


def test_an_unknown_provider_is_an_error_that_names_the_known_ones(tmp_path):
    with pytest.raises(UnknownName, match="no provider 'vax'") as caught:
        open_cloud("vax", Settings(home=tmp_path))
    assert "local" in caught.value.hint
