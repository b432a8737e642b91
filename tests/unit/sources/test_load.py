"""A template and what it imports are read from allowed places only."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import gc
import re
import time
from pathlib import Path

import pytest

from im.data_files import data_folder
from im.errors import TemplateError
from im.sources.load import load
from im.topology.model import Topology

VERSION = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TYPES = f"{VERSION}node_types:\n  my.Server: {{ derived_from: tosca.nodes.Compute }}\n"
USES = "topology_template:\n  node_templates:\n    a: { type: my.Server }\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for templates, with another one beside it that is none of their business."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "types.yaml").write_text(TYPES)
    monkeypatch.chdir(tmp_path / "templates")
    return tmp_path / "templates"


def template(imports, body=USES, name="t.yaml"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{VERSION}imports: [ {imports} ]\n{body}")
    return path


def findings(path, **options):
    with pytest.raises(TemplateError) as caught:
        load(path, {}, **options)
    return [str(finding) for finding in caught.value.findings]


@pytest.mark.parametrize(
    "imports",
    [
        "types/my.yaml",
        "{ anything: types/my.yaml }",
        "{ file: types/my.yaml }",
        "{ anything: { file: types/my.yaml } }",
        "./types/my.yaml",
    ],
)
def test_an_import_beside_the_template_is_found_in_every_way_to_write_it(folder, imports):
    (folder / "types").mkdir()
    (folder / "types" / "my.yaml").write_text(TYPES)
    assert load(template(imports), {}).groups[0].type == "my.Server"


def test_an_import_is_relative_to_the_file_that_imports_it(folder):
    (folder / "types" / "more").mkdir(parents=True)
    (folder / "types" / "first.yaml").write_text(f"{VERSION}imports: [ more/second.yaml ]\n")
    (folder / "types" / "more" / "second.yaml").write_text(f"{VERSION}imports: [ ../third.yaml ]\n")
    (folder / "types" / "third.yaml").write_text(TYPES)
    assert load(template("types/first.yaml"), {}).groups[0].type == "my.Server"


def test_files_that_import_each_other_are_read_once(folder):
    (folder / "a.yaml").write_text(f"{VERSION}imports: [ b.yaml, t.yaml ]\n")
    (folder / "b.yaml").write_text(f"{VERSION}imports: [ a.yaml ]\n" + TYPES.removeprefix(VERSION))
    assert load(template("a.yaml"), {}).groups[0].type == "my.Server"


def test_our_own_types_have_one_name_everywhere(folder):
    path = template("im/types.yaml", USES.replace("my.Server", "im.nodes.FrontEnd"), "deep/down/t.yaml")
    assert load(path, {}).front_end.name == "a"


def test_a_prefix_stands_before_the_names_of_imported_types(folder):
    (folder / "my.yaml").write_text(TYPES)
    path = template("{ x: { file: my.yaml, namespace_prefix: p } }", USES.replace("my.Server", "p:my.Server"))
    assert load(path, {}).groups[0].type == "my.Server"


def test_the_import_map_turns_addresses_into_folders(folder, tmp_path):
    path = template("https://example.org/a/b/types.yaml")
    found = load(
        path, {}, import_map={"https://example.org/a": Path("/nowhere"), "https://example.org/a/b": tmp_path / "other"}
    )
    assert found.groups[0].type == "my.Server"


def test_a_repository_is_a_prefix_too(folder, tmp_path):
    body = "repositories:\n  r: { url: 'https://example.org/a/' }\n" + USES
    path = template("{ x: { file: types.yaml, repository: r } }", body)
    assert load(path, {}, import_map={"https://example.org/a": tmp_path / "other"}).groups[0].type == "my.Server"


@pytest.mark.parametrize(
    ("imports", "line"),
    [
        ("missing.yaml", "t.yaml:2:12: error import: the import cannot be read: there is no file 'missing.yaml'"),
        (
            "../other/types.yaml",
            "t.yaml:2:12: error import: the import cannot be read: '../other/types.yaml' is outside the template's folder (copy it into that folder or map its prefix to a folder)",
        ),
        (
            "/etc/passwd",
            "t.yaml:2:12: error import: the import cannot be read: '/etc/passwd' is outside the template's folder",
        ),
        ("file:///etc/passwd", "t.yaml:2:12: error import: the import cannot be read: 'file:///etc/passwd' is outside"),
        (
            "link.yaml",
            "t.yaml:2:12: error import: the import cannot be read: 'link.yaml' is outside the template's folder",
        ),
        (
            "im/../mpi_cluster.yaml",
            "t.yaml:2:12: error import: the import cannot be read: 'im/../mpi_cluster.yaml' is outside",
        ),
        (
            "https://example.org/types.yaml",
            "t.yaml:2:12: error import: the import cannot be read: 'https://example.org/types.yaml' is not fetched from the network (copy it and map its prefix to a folder (import_map), or allow its host (import_hosts))",
        ),
        ("{ x: { file: a.yaml, repository: r } }", "t.yaml:2:45: error import: there is no repository 'r'"),
        ("{ x: { namespace_prefix: p } }", "t.yaml:2:14: error import: an import needs the key 'file'"),
        ("7", "t.yaml:2:12: error import: an import must name a file"),
        ('"a\\0b"', "t.yaml:2:12: error import: the import cannot be read: the name of the file holds a NUL"),
    ],
)
def test_an_import_that_cannot_be_read_is_the_only_finding(folder, imports, line):
    (folder / "link.yaml").symlink_to("../other/types.yaml")
    found = findings(template(imports))
    assert len(found) == 1
    assert found[0].startswith(line)


def test_what_is_wrong_in_an_import_is_found_there(folder):
    (folder / "my.yaml").write_text("node_types: [\n")
    assert findings(template("my.yaml"))[0].startswith("my.yaml:2:1: error yaml: this is not YAML")


def test_a_type_that_is_defined_twice_is_an_error(folder):
    (folder / "my.yaml").write_text(TYPES)
    path = template("my.yaml", f"{TYPES.removeprefix(VERSION)}{USES}")
    assert findings(path) == [
        "my.yaml:3:3: error duplicate-type: the node type 'my.Server' is defined twice (first in t.yaml:4:3)"
    ]


def test_files_that_cannot_be_templates_are_findings(folder):
    (folder / "binary.yaml").write_bytes(b"a: b\n\xff\xfe")
    assert findings(Path("binary.yaml")) == ["binary.yaml:2:1: error yaml: the file is not UTF-8 text"]
    (folder / "empty.yaml").write_text("")
    assert findings(Path("empty.yaml")) == [
        "empty.yaml:1:1: error form: 'empty.yaml' holds no TOSCA: it must be a mapping"
    ]
    assert findings(Path("none.yaml")) == [
        "none.yaml:1:1: error import: 'none.yaml' cannot be read: No such file or directory"
    ]


def test_a_file_that_is_too_big_is_not_read(folder):
    (folder / "big.yaml").write_text("a" * 3_000_000)
    assert findings(Path("big.yaml")) == ["big.yaml:1:1: error import: 'big.yaml' has more than 2,000,000 bytes"]


def test_a_megabyte_of_nesting_ends_in_a_finding_within_a_second(folder):
    (folder / "deep.yaml").write_text("[" * 1_000_000)
    started = time.process_time()
    [finding] = findings(Path("deep.yaml"))
    assert re.fullmatch(r"deep\.yaml:1:\d+: error too-deep: more than 64 levels inside each other", finding)
    assert time.process_time() - started < 1


def test_too_many_imports_are_refused(folder):
    for number in range(80):
        (folder / f"i{number}.yaml").write_text(f"{VERSION}imports: [ i{number + 1}.yaml ]\n")
    assert "error import: more than 64 files are imported" in findings(template("i0.yaml"))[0]


SHIPPED = [
    "mpi_cluster.yaml",
    "mpi_docker_cluster.yaml",
    "mpi_podman_cluster.yaml",
    "docker_cluster.yaml",
    "data_cluster.yaml",
    "slurm_cluster.yaml",
    "scan_cluster.yaml",
    "examples/own_playbook/cluster.yaml",
]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_templates_that_we_ship_have_no_finding_at_all(name):
    topology = load(data_folder("tosca_templates") / name, {})
    assert isinstance(topology, Topology)
    assert topology.warnings == ()
    assert topology.front_end.name == "frontend"


def test_the_data_cluster_has_volumes_a_zone_and_an_image_by_its_distribution():
    inputs = {"zone": "z1", "external_network": "ext"}
    topology = load(data_folder("tosca_templates") / "data_cluster.yaml", inputs)
    worker = topology.group("worker")
    assert [(volume.name, volume.mount) for volume in topology.front_end.volumes] == [("data_disk", "/data")]
    assert [(volume.size, volume.mount) for volume in worker.volumes] == [(20_000_000_000, "/scratch")]
    assert (worker.availability_zone, worker.placement, worker.os.distribution) == (
        "z1",
        "soft-anti-affinity",
        "debian",
    )
    assert [network.existing for network in topology.networks] == ["", "ext"]


def test_the_mpi_cluster_is_what_the_first_example_needs():
    topology = load(
        data_folder("tosca_templates") / "mpi_cluster.yaml", {"workers": 3, "worker_cpus": 4, "worker_memory": "2 GiB"}
    )
    worker = topology.group("worker")
    assert (worker.count, worker.hardware.cpus, worker.hardware.memory) == (3, 4, 2 * 1024**3)
    assert worker.works
    assert not topology.front_end.works
    assert (worker.shared, topology.front_end.shared) == (("/home",), ("/home",))
    assert (topology.front_end.public, worker.public) == (True, False)
    assert {(one.host, *one.provides) for one in topology.software} == {
        ("frontend", "container_engine"),
        ("frontend", "mpi"),
        ("worker", "container_engine"),
        ("worker", "mpi"),
    }
    assert {one.name for one in topology.outputs} == {"frontend_address", "node_addresses", "login"}


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_of_garbage_is_as_it_was_before(folder, is_on):
    (gc.enable if is_on else gc.disable)()
    try:
        findings(template("none.yaml"))
        assert gc.isenabled() is is_on
    finally:
        gc.enable()
