from __future__ import annotations

import hashlib
import io
import os
import tarfile

import pytest

from im.errors import InputError
from im.jobs import images
from im.jobs.images import kind_of, recognise


def archive(path, *names):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return path


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["./", "./bin", "./etc/passwd", "./usr/bin/sh"], "rootfs"),
        (["bin/busybox"], "rootfs"),
        (["1f2e/layer.tar", "1f2e.json", "manifest.json", "repositories"], "docker"),
        (["blobs/sha256/aa", "index.json", "oci-layout"], "oci"),
        (["blobs/sha256/aa", "index.json", "manifest.json", "oci-layout"], "oci"),
        (["etc/x", "manifest.json", "usr/y"], "rootfs"),
    ],
)
def test_an_archive_is_known_by_its_listing(names, kind):
    assert kind_of(names) == kind


def test_an_archive_of_something_else_is_refused_with_what_it_holds(tmp_path):
    path = archive(tmp_path / "thesis.tar", "thesis.tex", "figures/1.pdf")
    with pytest.raises(InputError, match=r"neither an image nor a root file system.*figures, thesis\.tex"):
        recognise(str(path))


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "image.tar"
    path.write_text("no")
    with pytest.raises(InputError, match="is no tar archive"):
        recognise(str(path))


@pytest.mark.parametrize("missing", ["./mpi.tar", "mpi.tar", "/x/mpi", "images/mpi.tar.gz", "a b"])
def test_what_looks_like_a_file_and_is_not_there_is_no_registry_name(missing):
    with pytest.raises(InputError, match="there is no image archive"):
        recognise(missing)


@pytest.mark.parametrize("name", ["debian:12", "ghcr.io/lab/mpi@sha256:aa", "http://10.0.0.1:5000/lab/mpi:x", "mpi"])
def test_other_words_are_names_in_a_registry(name):
    image = recognise(name)
    assert (image.kind, image.archive) == ("registry", None)
    assert image.container != recognise("other").container


def test_the_container_is_named_by_the_content_not_by_the_path(tmp_path):
    one = archive(tmp_path / "a.tar.gz", "bin/sh", "etc/x")
    two = tmp_path / "b.tar.gz"
    two.write_bytes(one.read_bytes())
    assert recognise(str(one), tmp_path / "cache").container == recognise(str(two), tmp_path / "cache").container


def test_the_digest_of_a_file_is_computed_once_until_the_file_changes(tmp_path, monkeypatch):
    path, cache = archive(tmp_path / "a.tar", "bin/sh"), tmp_path / "deep" / "cache.json"
    computed = []
    real = hashlib.file_digest
    monkeypatch.setattr(images.hashlib, "file_digest", lambda *words: computed.append(1) or real(*words))
    first = images.digest_of(path, cache)
    assert images.digest_of(path, cache) == first == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(computed) == 1
    os.utime(path, ns=(1, 1))
    assert images.digest_of(path, cache) == first
    assert len(computed) == 2


def test_a_broken_cache_is_no_obstacle(tmp_path):
    path, cache = archive(tmp_path / "a.tar", "bin/sh"), tmp_path / "cache.json"
    cache.write_text("{")
    assert len(images.digest_of(path, cache)) == 64
