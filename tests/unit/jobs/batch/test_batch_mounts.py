"""Mounts: what a user may give to a container, and the ways round it that are closed."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from im_batch import mounts
from im_batch.faults import BatchError

ANN, BEN = 1201, 1202
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="makes files of several users")


def opened(path, user=ANN):
    descriptor = mounts.walk(str(path), user)
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    finally:
        os.close(descriptor)


@pytest.fixture
def tree():
    """A place whose parents nobody but root can exchange."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def folder_of(user, path, mode=0o755):
    path.mkdir()
    os.chown(path, user, user)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/home/ann/in:/in", mounts.Mount("/home/ann/in", "/in")),
        ("/home/ann/in:/in:ro", mounts.Mount("/home/ann/in", "/in", read_only=True)),
        ("/home/ann//in/:/in/", mounts.Mount("/home/ann/in", "/in")),
    ],
)
def test_a_mount_is_source_target_and_perhaps_read_only(text, mount):
    assert mounts.parse(text) == mount


@pytest.mark.parametrize(
    "text", ["/a", "/a:", "a:/b", "/a:b", "/a/../etc:/b", "/a:/b/..", "/a:/b:rx", "/a:/", "/a:/proc", "/a:/dev/x"]
)
def test_what_is_no_mount_is_refused(text):
    with pytest.raises(BatchError):
        mounts.parse(text)


def test_a_folder_with_a_longer_name_is_not_in_the_shorter_one():
    with pytest.raises(BatchError, match="/home/ann2/secret must not be mounted"):
        mounts.check(mounts.Mount("/home/ann2/secret", "/x"), ("/home/ann",), ANN)


@needs_root
def test_the_path_that_was_checked_is_the_one_that_is_held(tree):
    data = folder_of(ANN, folder_of(ANN, tree / "ann") / "data")
    assert opened(data) == str(data)


@needs_root
@pytest.mark.parametrize("place", ["ann/link", "ann/link/in"])
def test_a_symbolic_link_is_refused_at_the_end_and_on_the_way(tree, place):
    folder_of(ANN, tree / "ann")
    folder_of(ANN, tree / "target")
    (tree / "target" / "in").mkdir()
    (tree / "ann" / "link").symlink_to(tree / "target")
    with pytest.raises(BatchError, match="ann/link is a symbolic link"):
        opened(tree / place)


@needs_root
def test_a_folder_on_the_way_that_another_user_owns_is_refused(tree):
    folder_of(ANN, folder_of(BEN, tree / "ben") / "for-ann")
    with pytest.raises(BatchError, match="others can exchange what is in"):
        opened(tree / "ben" / "for-ann")


@needs_root
def test_a_folder_on_the_way_that_a_group_may_write_is_refused_and_itself_can_be_mounted(tree):
    project = folder_of(0, tree / "project", 0o2775)
    folder_of(ANN, project / "run")
    with pytest.raises(BatchError, match="others can exchange"):
        opened(project / "run")
    assert opened(project) == str(project)


@needs_root
def test_a_sticky_folder_on_the_way_is_as_good_as_roots(tree):
    folder_of(ANN, folder_of(0, tree / "tmp", 0o1777) / "mine")
    assert opened(tree / "tmp" / "mine").endswith("/mine")


@needs_root
def test_an_exchange_after_the_check_does_not_change_what_is_held(tree):
    data = folder_of(ANN, folder_of(ANN, tree / "ann") / "data")
    (data / "mine").touch()
    held = mounts.walk(str(data), ANN)
    data.rename(tree / "ann" / "away")
    data.symlink_to("/etc")
    assert [file.name for file in Path(f"/proc/self/fd/{held}").iterdir()] == ["mine"]
    os.close(held)
    with pytest.raises(BatchError, match="symbolic link"):
        mounts.walk(str(data), None)


def test_what_is_not_there_is_named_with_the_reason(tmp_path):
    with pytest.raises(BatchError, match=r"/nowhere cannot be mounted: no such file or directory"):
        mounts.walk("/nowhere/at/all", None)
