"""The base image, without making one."""

import dataclasses
from collections import deque

import pytest

from im.errors import NoCapacity, ProviderError
from im.providers.local import image
from im.providers.local.image import ImageCache, Recipe, keep_packages

RECIPE = Recipe("debian-12", "bookworm", "12", "Types: deb\n", "")


@pytest.mark.parametrize(
    "change", [{"sources": "Types: deb\nURIs: x\n"}, {"packages": ("tini",)}, {"apt_settings": "Acquire::Retries 3;"}]
)
def test_another_recipe_is_another_folder(tmp_path, change):
    cache = ImageCache(tmp_path)
    assert cache.root(RECIPE) != cache.root(dataclasses.replace(RECIPE, **change))


def test_an_image_is_present_once_it_is_made(tmp_path):
    cache = ImageCache(tmp_path)
    assert not cache.describe(RECIPE).present
    cache.root(RECIPE).mkdir(parents=True)
    assert cache.describe(RECIPE).present
    assert cache.ensure(RECIPE, lambda *_: None) == cache.root(RECIPE)


def test_progress_grows_to_its_total_and_never_beyond():
    lines = ["0 upgraded, 200 newly installed, 0 to remove\n"]
    lines += [f"Get:{i} http://mirror.example bookworm/main amd64 p{i} amd64 1 [1 kB]\n" for i in range(200)]
    lines += [f"Unpacking p{i} (1) ...\n" for i in range(200)] + [f"Setting up p{i} (1) ...\n" for i in range(230)]
    seen = []
    image._report(lines, lambda done, total, _: seen.append((done, total)), deque())
    assert seen[0] == (6, 600)
    assert seen[-1] == (600, 600)
    assert len(seen) == 100
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_full_disk_is_named():
    error = image._failure(["dpkg-deb: error: copying file: failed to write (No space left on device)", "E: failed"])
    assert isinstance(error, NoCapacity)
    assert "the disk is full" in error.message


def test_another_failure_shows_the_reason_and_where_to_look():
    error = image._failure(["I: starting", "E: Unable to locate package tini", "I: cleanup"])
    assert type(error) is ProviderError
    assert error.message.endswith("E: Unable to locate package tini")
    assert "apt-get update" in error.hint


def test_downloaded_packages_move_to_the_common_folder_once(tmp_path):
    node, common = tmp_path / "node", tmp_path / "common"
    node.mkdir()
    for name, text in {"a_1.deb": "new", "b_1.deb": "b", "empty.deb": ""}.items():
        (node / name).write_text(text)
    common.mkdir()
    (common / "a_1.deb").write_text("kept")
    keep_packages(node, common)
    assert {path.name: path.read_text() for path in common.iterdir()} == {"a_1.deb": "kept", "b_1.deb": "b"}
    assert list(node.iterdir()) == []
    keep_packages(tmp_path / "none", common)
