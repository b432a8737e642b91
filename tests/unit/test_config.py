"""Settings come from the environment, then the file; a bad one is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from im.config import OcciSite, Settings, load_settings
from im.errors import InputError


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("IM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IM_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_wins_over_the_file(home, monkeypatch):
    (home / "config.toml").write_text("forks = 3\nboot_timeout = 10\n")
    monkeypatch.setenv("IM_FORKS", "5")
    settings = load_settings()
    assert (settings.forks, settings.boot_timeout, settings.home) == (5, 10, home)


def test_the_case_of_a_name_does_not_matter(home, monkeypatch):
    (home / "config.toml").write_text("SSH_Timeout = 4\n")
    monkeypatch.setenv("im_forks", "7")
    assert (load_settings().forks, load_settings().ssh_timeout) == (7, 4)


def test_a_variable_that_is_no_setting_is_somebody_elses(home, monkeypatch):
    monkeypatch.setenv("IM_TEST_CACHE", "/var/cache")
    monkeypatch.setenv("IM_NO_SUCH_SETTING", "1")
    assert load_settings() == Settings()


def test_an_empty_variable_is_an_empty_text(home, monkeypatch):
    (home / "config.toml").write_text('local_mirror = "deb http://192.0.2.1/debian bookworm main"\n')
    monkeypatch.setenv("IM_LOCAL_MIRROR", "")
    assert load_settings().local_mirror == ""


def test_an_empty_home_is_the_usual_one(monkeypatch, tmp_path):
    monkeypatch.setenv("IM_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load_settings().home == tmp_path / "im"


def test_lists_and_tables_in_variables_are_json(home, monkeypatch):
    monkeypatch.setenv("IM_IMPORT_HOSTS", '["example.org", "*.example.net"]')
    monkeypatch.setenv("IM_OCCI", '{"ifca": {"endpoint": "https://x", "key": "/k", "make_networks": "true"}}')
    settings = load_settings()
    assert settings.import_hosts == ["example.org", "*.example.net"]
    assert settings.occi == {"ifca": OcciSite(endpoint="https://x", key=Path("/k"), make_networks=True)}


def test_a_table_of_the_environment_adds_to_that_of_the_file(home, monkeypatch):
    (home / "config.toml").write_text('[occi.a]\nendpoint = "https://a"\n[occi.b]\nendpoint = "https://b"\n')
    monkeypatch.setenv("IM_OCCI", '{"a": {"parallel": 2}}')
    sites = load_settings().occi
    assert sites == {"a": OcciSite(endpoint="https://a", parallel=2), "b": OcciSite(endpoint="https://b")}


def test_an_import_map_maps_prefixes_to_folders(home):
    (home / "config.toml").write_text('[import_map]\n"https://example.org/types/" = "/srv/types"\n')
    assert load_settings().import_map == {"https://example.org/types/": Path("/srv/types")}


@pytest.mark.parametrize("text", ["forks = 'many'", "no_such_setting = 1", "forks = = 2"])
def test_a_bad_setting_is_named_with_the_file_to_mend(home, text):
    (home / "config.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_settings()
    assert "config.toml" in str(caught.value)


def test_an_occi_site_is_a_table_of_its_own(home):
    (home / "config.toml").write_text('[occi.ifca]\nendpoint = "https://x/occi1.1"\nsizes = { small = [1, 2] }\n')
    site = load_settings().occi["ifca"]
    assert (site.endpoint, site.auth, site.sizes) == ("https://x/occi1.1", "password", {"small": (1, 2.0)})


def test_a_secret_in_the_file_is_refused_and_not_repeated(home):
    (home / "config.toml").write_text('[occi.ifca]\nendpoint = "https://x"\npassword = "s3cr3t"\n')
    with pytest.raises(InputError, match=r"occi\.ifca\.password") as caught:
        load_settings()
    assert "s3cr3t" not in str(caught.value)


def test_all_bad_settings_are_named_at_once(home, monkeypatch):
    (home / "config.toml").write_text(
        """
        forks = 5.5
        no_such_setting = 1
        [occi.ifca]
        auth = "s3cr3t"
        ca = 1
        parallel = 65
        password = "s3cr3t"
        sizes = { small = [1], large = [4, 8] }
        """
    )
    monkeypatch.setenv("IM_BOOT_TIMEOUT", "s3cr3t")
    monkeypatch.setenv("IM_IMPORT_HOSTS", "s3cr3t.example.org")
    with pytest.raises(InputError) as caught:
        load_settings()
    assert [fault.partition(": ")[0] for fault in caught.value.message.split("; ")] == [
        "import_hosts",
        "boot_timeout",
        "forks",
        "occi.ifca.endpoint",
        "occi.ifca.auth",
        "occi.ifca.ca",
        "occi.ifca.parallel",
        "occi.ifca.sizes.small",
        "occi.ifca.password",
        "no_such_setting",
    ]
    assert "s3cr3t" not in str(caught.value)


def test_a_bad_word_is_answered_with_the_good_ones(home):
    (home / "config.toml").write_text('[occi.ifca]\nendpoint = "https://x"\nfederation_method = "PUT"\n')
    with pytest.raises(InputError, match=r"occi\.ifca\.federation_method: Expected one of GET, POST"):
        load_settings()
