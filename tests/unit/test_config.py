"""Settings come from the environment, then the file; a bad one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from im.config import load_settings
from im.errors import InputError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("IM_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_wins_over_the_file(home, monkeypatch):
    (home / "config.toml").write_text("forks = 3\nboot_timeout = 10\n")
    monkeypatch.setenv("IM_FORKS", "5")
    settings = load_settings()
    assert (settings.forks, settings.boot_timeout, settings.home) == (5, 10, home)


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
