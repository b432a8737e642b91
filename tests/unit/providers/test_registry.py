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


@pytest.fixture
def clouds_yaml(tmp_path, monkeypatch):
    file = tmp_path / "clouds.yaml"
    file.write_text("clouds: {site: {auth: {auth_url: http://127.0.0.1:1/v3}}, local: {auth: {}}}\n")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    monkeypatch.delenv("OS_CLOUD", raising=False)


def test_a_name_in_clouds_yaml_is_an_openstack_cloud(tmp_path, clouds_yaml):
    settings = Settings(home=tmp_path)
    assert open_cloud("site", settings).name == open_cloud("openstack:site", settings).name == "openstack:site"


def test_a_provider_is_meant_before_a_cloud_of_the_same_name(tmp_path, clouds_yaml):
    assert isinstance(open_cloud("local", Settings(home=tmp_path)), LocalProvider)


def test_the_cloud_that_the_environment_names_has_one_name(tmp_path, clouds_yaml, monkeypatch):
    monkeypatch.setenv("OS_CLOUD", "site")
    assert open_cloud("openstack", Settings(home=tmp_path)).name == "openstack:site"


def test_an_unknown_name_is_answered_with_the_clouds_that_there_are(tmp_path, clouds_yaml):
    with pytest.raises(UnknownName) as caught:
        open_cloud("sight", Settings(home=tmp_path))
    assert "site" in caught.value.hint
