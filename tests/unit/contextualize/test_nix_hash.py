import io
import tarfile

import pytest

from im.contextualize.nix_hash import tree_hash

NOTHING = "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="
TOOLS = "sha256-r57M5l8kJf6RW3ab+HieQWONSY5IUG+zju8P225PPOc="
"""What ``nix-hash --type sha256`` of Debian's nix-bin 2.8.0 prints, in base64."""


def entry(name: str, content: bytes = b"", **fields) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


FOLDER = {"type": tarfile.DIRTYPE}
PROOT = entry("udocker_dir/bin/proot", b"proot\n", mode=0o755)
VERSION = entry("udocker_dir/lib/VERSION", b"1.2.11\n", mode=0o644, mtime=1_700_000_000)
LINK = entry("udocker_dir/bin/VERSION", type=tarfile.SYMTYPE, linkname="../lib/VERSION")
EMPTY = entry("udocker_dir/empty", **FOLDER)


def test_an_empty_archive_is_an_empty_folder():
    assert tree_hash(packed()) == NOTHING


def test_files_programs_links_and_folders_give_the_digest_that_nix_prints():
    assert tree_hash(packed(PROOT, VERSION, LINK, EMPTY)) == TOOLS


def test_order_compression_and_the_folders_own_entries_do_not_matter():
    assert tree_hash(packed(entry("./udocker_dir", **FOLDER), EMPTY, LINK, VERSION, PROOT)) == TOOLS


@pytest.mark.parametrize(
    "other",
    [
        entry("udocker_dir/bin/proot", b"proot!", mode=0o755),
        entry("udocker_dir/bin/proot", b"proot\n", mode=0o644),
        entry("udocker_dir/bin/proot2", b"proot\n", mode=0o755),
    ],
    ids=["content", "mode", "name"],
)
def test_what_differs_in_content_mode_or_name_has_another_digest(other):
    assert tree_hash(packed(other, VERSION, LINK, EMPTY)) != TOOLS


@pytest.mark.parametrize("broken", [b"not gzip", packed(PROOT)[:-20], packed(PROOT, entry("udocker_dir/bin/proot/x"))])
def test_what_is_no_archive_is_refused(broken):
    with pytest.raises((OSError, EOFError, tarfile.TarError)):
        tree_hash(broken)
