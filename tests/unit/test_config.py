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
