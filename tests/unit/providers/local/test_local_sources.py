"""APT sources of the machine become those of a node."""

import pytest

from im.errors import ProviderError
from im.providers.local import sources

DEB822 = """\
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/off
Suites: bookworm
Components: main
Enabled: no
"""
THIRD_PARTY = """\
deb [signed-by=/etc/apt/keyrings/docker.gpg arch=amd64] https://docker.example/debian bookworm stable
deb https://cloud.example/apt cloud-sdk-bookworm main
deb-src http://mirror.example/debian bookworm main
"""


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    release(tmp_path, "bookworm")
    return tmp_path


def release(etc, codename):
    (etc / "os-release").write_text(f'NAME="Debian"\nVERSION_CODENAME={codename}\n')


def test_only_debians_own_suites_are_taken_from_deb822(etc):
    (etc / "apt/sources.list.d/debian.sources").write_text(DEB822)
    assert sources.machine_sources("bookworm", etc) == (
        "Types: deb\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm bookworm-updates\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_one_line_entries_are_read_too(etc):
    (etc / "apt/sources.list").write_text(
        "# comment\ndeb [trusted=yes] http://mirror.example/security bookworm-security main # more\n\n"
    )
    assert sources.machine_sources("bookworm", etc) == (
        "Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\nTrusted: yes\n"
    )


def test_third_party_and_source_entries_are_dropped(etc):
    (etc / "apt/sources.list.d/other.list").write_text(THIRD_PARTY)
    with pytest.raises(ProviderError, match="no APT sources of Debian") as caught:
        sources.machine_sources("bookworm", etc)
    assert "IM_LOCAL_MIRROR" in caught.value.hint


def test_suites_of_another_release_of_debian_are_renamed(etc):
    release(etc, "trixie")
    (etc / "apt/sources.list").write_text("deb http://mirror.example/debian trixie main\n")
    assert "Suites: bookworm\n" in sources.machine_sources("bookworm", etc)


def test_a_machine_without_a_codename_has_no_sources_of_debian(etc):
    (etc / "os-release").write_text("NAME=Other\n")
    (etc / "apt/sources.list").write_text("deb http://mirror.example/debian trixie main\n")
    with pytest.raises(ProviderError):
        sources.machine_sources("bookworm", etc)


def test_a_list_of_mirrors_on_the_machine_becomes_its_first_mirror(etc, tmp_path):
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# ours\nhttp://first.example/debian priority:1\nhttp://second.example/debian\n")
    (etc / "apt/sources.list").write_text(f"deb mirror+file://{mirrors} bookworm main\n")
    assert "URIs: http://first.example/debian\n" in sources.machine_sources("bookworm", etc)


def test_a_key_file_that_a_node_does_not_have_is_left_out(etc):
    (etc / "apt/sources.list").write_text("deb [signed-by=/etc/keys/own.gpg] http://mirror.example/d bookworm main\n")
    assert "Signed-By" not in sources.machine_sources("bookworm", etc)


def test_given_sources_are_taken_as_they_are():
    assert "Suites: mine" in sources.given_sources("deb http://mirror.example/d mine main extra")


def test_given_text_without_a_source_is_refused():
    with pytest.raises(ProviderError) as caught:
        sources.given_sources("http://mirror.example/d")
    assert caught.value.where == "IM_LOCAL_MIRROR"


def test_settings_keep_what_is_about_fetching_and_drop_indexes(monkeypatch):
    dump = 'Acquire "";\nAcquire::http::Proxy "http://proxy:3128";\nAcquire::IndexTargets::deb::X "1";\nDPkg::Y "1";\n'
    monkeypatch.setattr(sources, "run", lambda *_, **__: type("Done", (), {"stdout": dump}))
    assert sources.apt_settings() == 'Acquire::http::Proxy "http://proxy:3128";\n'
