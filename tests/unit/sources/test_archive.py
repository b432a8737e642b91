"""A template may come as an archive with all its files; a hostile archive harms nobody."""

# ruff: noqa: E501 - the lines that users see are quoted as they are

from __future__ import annotations

import stat
import zipfile

import pytest

from im.errors import TemplateError
from im.sources import archive as module
from im.sources.load import Reading, load

VERSION = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TYPES = f"{VERSION}node_types:\n  my.Server:\n    derived_from: tosca.nodes.Compute\n    interfaces: {{ Standard: {{ configure: ../plays/setup.yml }} }}\n"
MAIN = f"{VERSION}imports: [ ../types/my.yaml ]\ntopology_template:\n  node_templates:\n    a: {{ type: my.Server }}\n"
META = "TOSCA-Meta-File-Version: 1.1\nCSAR-Version: 1.1\nEntry-Definitions: definitions/main.yaml\n"
FILES = {
    "TOSCA-Metadata/TOSCA.meta": META,
    "definitions/main.yaml": MAIN,
    "types/my.yaml": TYPES,
    "plays/setup.yml": "- hosts: all\n",
}


@pytest.fixture
def packed(tmp_path):
    def pack(files, name="cluster.csar"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for item, content in files.items():
                opened.writestr(item, content)
        return path

    return pack


@pytest.fixture
def read(tmp_path):
    return lambda path: load(path, {}, Reading(home=tmp_path / "home"))


def finding(read, path):
    with pytest.raises(TemplateError) as caught:
        read(path)
    assert len(caught.value.findings) == 1
    return str(caught.value.findings[0]).replace(str(path), path.name)


def test_the_entry_that_the_archive_names_is_the_template(packed, read, tmp_path):
    topology = read(packed(FILES))
    assert topology.groups[0].type == "my.Server"
    playbook = topology.software[0].operations[0].implementation
    assert playbook.startswith(str(tmp_path / "home"))
    assert playbook.endswith("/plays/setup.yml")


def test_without_a_note_the_only_file_at_the_top_is_the_template(packed, read):
    main = MAIN.replace("../types", "types")
    topology = read(packed({"main.yaml": main, "types/my.yaml": TYPES, "plays/setup.yml": "[]"}, "cluster.zip"))
    assert topology.groups[0].name == "a"


def test_findings_name_the_file_in_the_archive(packed, read):
    files = FILES | {"definitions/main.yaml": MAIN.replace("my.Server }", "my.Server, colour: red }")}
    assert finding(read, packed(files)).startswith("cluster.csar/definitions/main.yaml:5:27: error unknown-key")


def test_the_same_archive_is_unpacked_once(packed, read, monkeypatch):
    path = packed(FILES)
    read(path)
    monkeypatch.setattr(module, "_into", lambda *_: pytest.fail("unpacked again"))
    read(path)


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"../out.yaml": "x"}, "the archive holds '../out.yaml', which is outside of it"),
        ({"/etc/cron.d/x": "x"}, "the archive holds '/etc/cron.d/x', which is outside of it"),
        ({"a\\..\\b": "x"}, "the archive holds 'a\\..\\b', which is outside of it"),
        ({link("l.yaml"): "/etc/passwd"}, "the archive holds 'l.yaml', which is neither a file nor a folder"),
        ({"a.yaml": MAIN, "b.yaml": MAIN}, "it is not clear which file of 'cluster.csar' is the template (a.yaml, b.yaml at the top) (name it in TOSCA-Metadata/TOSCA.meta)"),
        ({"x.txt": ""}, "it is not clear which file of 'cluster.csar' is the template (none at the top) (name it in TOSCA-Metadata/TOSCA.meta)"),
        ({"TOSCA.meta": "a: b"}, "TOSCA.meta of 'cluster.csar' names no template (Entry-Definitions: PATH)"),
        ({"TOSCA.meta": "Entry-Definitions: ../../../../etc/passwd"}, "TOSCA.meta of 'cluster.csar' names '../../../../etc/passwd', which is not in the archive"),
    ],
)  # fmt: skip
def test_an_archive_that_cannot_be_used_is_refused(packed, read, tmp_path, files, said):
    assert finding(read, packed(files)) == f"cluster.csar:1:1: error import: {said}"
    assert not (tmp_path / "out.yaml").exists()


def test_an_archive_that_grows_without_end_is_refused(packed, read, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNPACKED", 100_000)
    bomb = packed({"a.yaml": b"0" * 200_000})
    assert finding(read, bomb) == "cluster.csar:1:1: error import: the archive holds more than 100,000 bytes"
    assert list((tmp_path / "home" / "templates" / "unpacked").iterdir()) == []


def test_an_archive_of_too_many_files_is_refused(packed, read):
    many = packed({f"{number}.yaml": "" for number in range(1001)})
    assert finding(read, many) == "cluster.csar:1:1: error import: the archive holds more than 1,000 files"


def test_what_is_no_archive_is_said(tmp_path, read, packed):
    (tmp_path / "cluster.csar").write_text("text")
    assert finding(read, tmp_path / "cluster.csar") == (
        "cluster.csar:1:1: error import: 'cluster.csar' is no archive that can be read: File is not a zip file"
    )
    assert "No such file" in finding(read, tmp_path / "none.csar")
    broken = packed(FILES, "broken.csar")
    content = bytearray(broken.read_bytes())
    content[60:90] = b"\xff" * 30
    broken.write_bytes(content)
    assert "broken.csar:1:1: error import: 'broken.csar' is no archive" in finding(read, broken)


def test_what_an_archive_imports_must_be_in_it(packed, read, tmp_path):
    (tmp_path / "secret.yaml").write_text(TYPES)
    files = FILES | {"definitions/main.yaml": MAIN.replace("../types/my.yaml", str(tmp_path / "secret.yaml"))}
    assert "is outside the template's folder" in finding(read, packed(files))
