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
from im.sources.load import load

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


@needs_oasis
def test_most_errors_of_the_oasis_files_are_found_on_the_line_that_they_name(oasis):
    named = {path: expected_lines(path) for path in sorted(oasis.glob("*.yml")) if must_be_rejected(path)}
    named = {path: lines for path, lines in named.items() if lines}
    near = [path.name for path, lines in named.items() if lines & {error.mark.line for error in verdict(path)}]
    assert len(near) >= 19


@needs_oasis
@pytest.mark.parametrize("name", ["3.5.7-imports-05-simple-remote.yml", "3.5.7-imports-07-repository-remote.yml"])
def test_without_a_network_the_import_is_the_only_error(oasis, name):
    assert [error.code for error in verdict(oasis / name)] == ["import"]


PREFIX = "https://raw.githubusercontent.com/indigo-dc/tosca-types"
MADE_UP = {"integer": 1, "float": 1.0, "boolean": True, "list": ["x"], "map": {"x": "x"}, "scalar-unit.size": "1 GB"}
ERRORS_OF_THEIR_OWN = {
    "elasticsearch.yaml": "artifact",  # its types name a playbook that is not among the artifacts
    "elasticsearch_kibana.yaml": "artifact",
    "eubiosteo_server.yaml": "artifact",  # a playbook on a server of its own
    "generic_app.yaml": "artifact",
    "hadoop_cluster.yaml": "duplicate-key",
    "qcg-job.yaml": "value-type",  # a number in a map of texts
    "vm_docker_deepass.yml": "unknown-property",
}
"""What the examples themselves have wrong, and the first thing that is said of each."""


def made_up_inputs(path):
    """Return a value of the right type for every input that has no default."""
    inputs = yaml.safe_load(path.read_text())["topology_template"].get("inputs") or {}
    return {name: MADE_UP.get(body.get("type"), "x") for name, body in inputs.items() if body.get("default") is None}


@pytest.fixture(scope="module")
def indigo():
    """Return the topology of each example, or the codes of its errors."""
    import_map = {f"{PREFIX}/{branch}": INDIGO for branch in ("master", "devel", "add-ek")}
    results = {}
    for path in sorted((INDIGO / "examples").glob("*.y*ml")):
        try:
            results[path.name] = load(path, made_up_inputs(path), import_map=import_map)
        except TemplateError as error:
            results[path.name] = [finding.code for finding in error.findings if finding.severity == "error"]
    return results


@needs_indigo
def test_all_topologies_for_im_build_but_those_that_are_wrong_themselves(indigo):
    failed = {name: codes[0] for name, codes in indigo.items() if isinstance(codes, list)}
    assert failed == ERRORS_OF_THEIR_OWN
    assert len(indigo) - len(failed) >= 57


@needs_indigo
def test_those_that_describe_machines_have_groups_and_one_front_end(indigo):
    topologies = [topology for topology in indigo.values() if not isinstance(topology, list)]
    with_machines = [topology for topology in topologies if topology.groups]
    assert len(with_machines) >= 48
    assert all(sum(group.front_end for group in topology.groups) == 1 for topology in with_machines)


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
