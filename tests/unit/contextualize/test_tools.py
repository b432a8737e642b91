import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from im.config import Settings
from im.contextualize import tools
from im.contextualize.nix_hash import tree_hash
from im.errors import ContextualizationError

ARCHIVE = b"udocker's tools"
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.fixture
def ensure(tmp_path):
    """Calls ``tools.ensure``; remembers what was built and told."""

    class Ensure:
        def __init__(self) -> None:
            self.built: list[str] = []
            self.told: list[tuple[str, str]] = []

        def build(self, script: Path) -> bytes:
            self.built.append(script.name)
            return b"built"

        def __call__(self, udocker_tools_url: str = "", **settings: str) -> Path:
            return tools.ensure(
                Settings(home=tmp_path, udocker_tools_url=udocker_tools_url, **settings),
                "x86_64-debian-12",
                self.build,
                lambda *told: self.told.append(told),
            )

    return Ensure()


def upstream(tmp_path, content=ARCHIVE) -> str:
    (tmp_path / "up.tar.gz").write_bytes(content)
    return (tmp_path / "up.tar.gz").as_uri()


def test_without_a_url_the_tools_are_built_once(ensure):
    assert ensure().read_bytes() == b"built"
    ensure()
    assert ensure.built == ["build-tools.sh"]


def test_upstreams_archive_is_taken_where_it_can_be_reached(ensure, tmp_path):
    found = ensure(udocker_tools_url=upstream(tmp_path), udocker_tools_sha256=SHA256)
    assert (found.read_bytes(), ensure.built) == (ARCHIVE, [])


def test_upstreams_archive_is_fetched_once(ensure, tmp_path):
    url = upstream(tmp_path)
    ensure(udocker_tools_url=url, udocker_tools_sha256=SHA256)
    (tmp_path / "up.tar.gz").unlink()
    assert ensure(udocker_tools_url=url, udocker_tools_sha256=SHA256).read_bytes() == ARCHIVE


def test_upstreams_archive_may_be_known_by_what_is_in_it(ensure, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(__file__, arcname="udocker_dir/lib/VERSION")
    archive = packed.getvalue()
    url = upstream(tmp_path, archive)
    assert ensure(udocker_tools_url=url, udocker_tools_sha256=tree_hash(archive)).read_bytes() == archive


def test_another_address_is_asked_although_tools_were_built_before(ensure, tmp_path):
    ensure(udocker_tools_url="file:///nowhere")
    assert ensure(udocker_tools_url=upstream(tmp_path), udocker_tools_sha256=SHA256).read_bytes() == ARCHIVE


def test_upstream_is_asked_once_where_it_is_out_of_reach(ensure):
    ensure(udocker_tools_url="file:///nowhere")
    ensure.told.clear()
    ensure(udocker_tools_url="file:///nowhere")
    assert ensure.told == []


def test_the_tools_are_built_when_upstream_is_out_of_reach(ensure):
    assert ensure(udocker_tools_url="file:///nowhere", udocker_tools_sha256=SHA256).read_bytes() == b"built"
    assert [kind for kind, _ in ensure.told] == ["progress", "note", "progress"]


@pytest.mark.parametrize("checksum", ["0" * 64, "", "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="])
def test_an_archive_with_another_checksum_is_refused_and_not_kept(ensure, tmp_path, checksum):
    with pytest.raises(ContextualizationError, match="SHA-256"):
        ensure(udocker_tools_url=upstream(tmp_path), udocker_tools_sha256=checksum)
    assert not list((tmp_path / "cache").rglob("*.tar.gz"))
    assert ensure.built == []
