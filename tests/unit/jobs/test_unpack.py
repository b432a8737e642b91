"""Layers of an image, unpacked into a tree of their own; the whole program needs root and runs in the local tier."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from im.jobs.remote import unpack


def tar(path, *members):
    """Write an archive of (name, content) pairs; a content None makes a folder, one that is a tuple a link."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif isinstance(content, tuple):
                member.type, member.linkname = tarfile.SYMTYPE, content[0]
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def lay(tmp_path):
    """Unpacks layers into a tree; returns what is in it then."""
    root = tmp_path / "root"
    root.mkdir()

    def lay(*members):
        with tarfile.open(tar(tmp_path / "layer.tar", *members)) as layer:
            unpack.unpack(layer, root)
        return {str(path.relative_to(root)) for path in root.rglob("*")}

    lay.root = root
    return lay


def test_a_layer_blots_out_files_and_whole_folders(lay):
    lay(("etc", None), ("etc/a", b"1"), ("etc/b", b"2"), ("opt", None), ("opt/x", b"3"))
    assert lay(("etc/.wh.a", b""), ("opt/.wh..wh..opq", b""), ("opt/y", b"4")) == {"etc", "etc/b", "opt", "opt/y"}


def test_a_file_takes_the_place_of_a_link_and_does_not_write_through_it(lay):
    lay(("etc", None), ("etc/real", b"1"), ("etc/link", ("real",)))
    lay(("etc/link", b"2"))
    assert (lay.root / "etc/real").read_bytes() == b"1"
    assert (lay.root / "etc/link").read_bytes() == b"2"


def test_the_layers_and_variables_of_both_kinds_of_image_are_found(tmp_path):
    config = json.dumps({"config": {"Env": ["COLOUR=red"]}}).encode()
    saved = tar(
        tmp_path / "saved.tar",
        ("manifest.json", json.dumps([{"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar"]}]).encode()),
        ("c.json", config),
        ("a/layer.tar", b""),
        ("b/layer.tar", b""),
    )
    index = {"manifests": [{"digest": "sha256:m"}]}
    manifest = {"config": {"digest": "sha256:c"}, "layers": [{"digest": "sha256:a"}]}
    oci = tar(
        tmp_path / "oci.tar",
        ("oci-layout", b"{}"),
        ("index.json", json.dumps(index).encode()),
        ("blobs/sha256/m", json.dumps(manifest).encode()),
        ("blobs/sha256/c", config),
        ("blobs/sha256/a", b""),
    )
    for path, layers in ((saved, ["a/layer.tar", "b/layer.tar"]), (oci, ["blobs/sha256/a"])):
        with tarfile.open(path) as archive:
            image = unpack.Image(archive, {name: name for name in archive.getnames()})
            assert (image.layers, image.variables) == (layers, ["COLOUR=red"])
