"""Templates that nobody here wrote: the community's conformance files, and topologies written for IM.

They are read where they are, beside this checkout (or in ``$IM_CORPUS``); without them the tests are skipped. The
counts asserted here are what has been reached: they may only rise.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from im.errors import TemplateError
from im.plan.diff import diff
from im.plan.model import Catalog, Flavor, Image
from im.sources.load import Reading, load
from im.topology.model import Topology

CORPUS = Path(os.environ.get("IM_CORPUS") or Path(__file__).resolve().parents[2].parent / "shared" / "corpus")
OASIS = CORPUS / "oasis-1.0"
INDIGO = CORPUS / "indigo-types"
PLACE = "https://github.com/oasis-open/tosca-test-assertions/raw/master/Parser-Validator"
MY_TYPES = """
tosca_definitions_version: tosca_simple_yaml_1_0
node_types:
  tosca.tests.nodes.MyType:
    derived_from: tosca.nodes.Root
"""

needs_oasis = pytest.mark.skipif(not OASIS.is_dir(), reason=f"conformance: no OASIS files in {OASIS}")
needs_indigo = pytest.mark.skipif(not INDIGO.is_dir(), reason=f"conformance: no INDIGO templates in {INDIGO}")


def must_be_rejected(path):
    """Tell what the file's own assertion says."""
    text = path.read_text()
    return "oasis.testAssertion.tags.errors:" in text or "assert raises the error" in text or "SHOULD fail" in text


def expected_lines(path):
    """Return the lines where the file's assertion wants the errors."""
    named = re.search(r"testAssertion\.tags\.errors_lines: ([0-9, ]+)", path.read_text())
    return {int(line) for line in named[1].split(",")} if named else set()


@pytest.fixture(scope="module")
def oasis(tmp_path_factory):
    """The OASIS files beside the one file that some of them import and that is not among them: ours stands in."""
    folder = tmp_path_factory.mktemp("oasis")
    (folder / "dependencies" / "my-types").mkdir(parents=True)
    (folder / "dependencies" / "my-types" / "my-types.yml").write_text(MY_TYPES)
    for path in OASIS.glob("*.yml"):
        (folder / path.name).write_text(path.read_text())
    return folder


def verdict(path, **options):
    """Return the errors of a template, none where it is accepted."""
    try:
        load(path, {}, **options)
    except TemplateError as error:
        return [finding for finding in error.findings if finding.severity == "error"]
    return []


@needs_oasis
def test_every_oasis_file_is_judged_right(oasis):
    files = sorted(oasis.glob("*.yml"))
    wrong = [path.name for path in files if bool(verdict(path, import_map={PLACE: oasis})) != must_be_rejected(path)]
    assert wrong == []
    assert (len(files), sum(map(must_be_rejected, files))) == (50, 25)


NAMES_ANOTHER_LINE = {"3.9.3.7-dsl_definitions-02-invalid-value-type.yml": ({22}, {23})}
"""What the metadata names, and where the wrong value really stands."""


@needs_oasis
def test_every_error_of_the_oasis_files_is_found_on_the_line_that_they_name(oasis):
    named = {path: expected_lines(path) for path in sorted(oasis.glob("*.yml")) if must_be_rejected(path)}
    named = {path: lines for path, lines in named.items() if lines}
    assert len(named) == 23
    found = {path: {error.mark.line for error in verdict(path, import_map={PLACE: oasis})} for path in named}
    missed = {path.name: (lines, found[path]) for path, lines in named.items() if not lines & found[path]}
    assert missed == NAMES_ANOTHER_LINE


@needs_oasis
@pytest.mark.parametrize("name", ["3.5.7-imports-05-simple-remote.yml", "3.5.7-imports-07-repository-remote.yml"])
def test_without_a_network_the_import_is_the_only_error(oasis, name):
    assert [error.code for error in verdict(oasis / name)] == ["import"]


PREFIX = "https://raw.githubusercontent.com/indigo-dc/tosca-types"
NOT_IN_THE_CORPUS = (
    f"{PREFIX}/add-ek/artifacts/master/elasticsearch_install.yml",
    f"{PREFIX}/add-ek/artifacts/master/kibana_install.yml",
    f"{PREFIX}/master/artifacts/ophidia/ophidia_install.yml",
    "https://osiristorage.blob.core.windows.net/data/dockerplaybook.yml",
)
"""Playbooks that four examples name and that are gone: a user maps them to copies, these tests to empty ones."""
MADE_UP = {"integer": 1, "float": 1.0, "boolean": True, "list": ["x"], "map": {"x": "x"}, "scalar-unit.size": "1 GB"}
NO_MACHINES = {
    "deep-plants-classification.yaml": "applications for Marathon",
    "helm_minio.yaml": "an application for a Kubernetes cluster that exists",
    "indigo_grid_job.yaml": "jobs for a grid",
    "indigo_job_onedata.yaml": "jobs for Chronos",
    "indigo_job_output_upload_swift.yaml": "jobs for Chronos",
    "indigo_job_output_upload_web.yaml": "jobs for Chronos",
    "indigo_marathon_app.yaml": "applications for Marathon",
    "qcg-job.yaml": "jobs for QosCosGrid",
    "rstudio.yaml": "applications for Marathon",
}
"""The examples that describe something else, and what we say that it is."""


def made_up_inputs(path):
    """Return a value of the right type for every input that has no default."""
    inputs = yaml.safe_load(path.read_text())["topology_template"].get("inputs") or {}
    return {name: MADE_UP.get(body.get("type"), "x") for name, body in inputs.items() if body.get("default") is None}


@pytest.fixture(scope="module")
def indigo(tmp_path_factory):
    """Return the topology of each example, or the findings that it is refused with."""
    empty = tmp_path_factory.mktemp("gone")
    import_map = {f"{PREFIX}/{branch}": INDIGO for branch in ("master", "devel", "add-ek")}
    for address in NOT_IN_THE_CORPUS:
        name = address.rpartition("/")[2]
        (empty / name).write_text("- hosts: all\n")
        import_map[address.removesuffix(f"/{name}")] = empty
    import_map[f"{PREFIX}/master/artifacts/ophidia"] = both(INDIGO / "artifacts" / "ophidia", empty)
    results = {}
    for path in sorted((INDIGO / "examples").glob("*.y*ml")):
        try:
            results[path.name] = load(path, made_up_inputs(path), import_map=import_map)
        except TemplateError as error:
            results[path.name] = error.findings
    return results


def both(folder, more):
    """Copy what the corpus has of a folder to what stands in for the rest."""
    for path in folder.iterdir():
        (more / path.name).write_text(path.read_text())
    return more


def machines(indigo):
    return {name: topology for name, topology in indigo.items() if isinstance(topology, Topology)}


def catalog_for(topology):
    """Return a cloud that has the images and flavors that the machines name."""
    groups = topology.groups
    images = tuple(
        Image(
            group.os.image or f"image-{number}",
            group.os.image or "Linux",
            distribution=group.os.distribution,
            version=group.os.version,
            architecture=group.os.architecture,
        )
        for number, group in enumerate(groups)
    )
    sizes = tuple(Flavor(group.hardware.flavor, group.hardware.flavor, 64, 2**40) for group in groups)
    return Catalog(images=images, flavors=(*sizes, Flavor("huge", "huge", 64, 2**40, 2**44, 8)))


@needs_indigo
def test_every_example_for_im_that_describes_machines_becomes_a_plan(indigo):
    refused = {name for name, result in indigo.items() if not isinstance(result, Topology)}
    assert refused == set(NO_MACHINES)
    for name, topology in machines(indigo).items():
        plan = diff(name, topology, (), (), catalog_for(topology))
        wanted = sum(group.count for group in topology.groups)
        assert [action.kind for action in plan.actions] == ["create"] * wanted, name
    assert len(machines(indigo)) == 57


@needs_indigo
def test_the_examples_that_describe_something_else_are_refused_with_that_reason(indigo):
    for name, what in NO_MACHINES.items():
        said = [finding.message for finding in indigo[name] if finding.code == "no-machines"]
        assert len(said) == 1, name
        assert said[0].startswith(f"the template describes {what}"), name


@needs_indigo
def test_each_has_one_front_end(indigo):
    for name, topology in machines(indigo).items():
        assert [group.front_end for group in topology.groups].count(True) == 1, name


@needs_indigo
def test_their_volumes_are_attached_where_they_say(indigo):
    volumes = [
        volume for topology in machines(indigo).values() for group in topology.groups for volume in group.volumes
    ]
    assert len(volumes) == 8
    assert all(volume.size and volume.mount.startswith("/") for volume in volumes)


@needs_indigo
def test_their_zones_and_host_names_are_understood(indigo):
    assert indigo["node_with_availability_zone.yaml"].groups[0].availability_zone == "some_zone"
    assert indigo["kubernetes_cluster.yaml"].front_end.host_name == "kubeserver"


@needs_indigo
def test_a_slurm_cluster_for_im_is_understood(indigo):
    topology = indigo["galaxy_elastic_cluster.yaml"]
    assert topology.front_end.name == "lrms_server"
    assert topology.front_end.public
    assert [(group.name, group.count) for group in topology.groups] == [("lrms_server", 1), ("lrms_wn", 0)]
    slurm = next(one for one in topology.software if one.name == "lrms_front_end")
    assert slurm.host == "lrms_server"
    assert slurm.operations[0].kind == "playbook"
    assert slurm.operations[0].implementation.endswith("artifacts/lrms/slurm/slurm_fe_install.yml")
    levels = {one.name: one.level for one in topology.software}
    assert levels["lrms_server"] < levels["lrms_front_end"] < levels["galaxy_portal"]


@needs_indigo
def test_strictly_read_their_mistakes_are_errors(tmp_path):
    reading = Reading({f"{PREFIX}/master": INDIGO}, dialect="tosca")
    with pytest.raises(TemplateError) as caught:
        load(INDIGO / "examples" / "hadoop_cluster.yaml", {}, reading)
    assert "duplicate-key" in [finding.code for finding in caught.value.findings if finding.severity == "error"]
