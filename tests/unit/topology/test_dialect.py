"""Templates for IM are read as IM means them; its mistakes are warnings, and what is no machine is refused."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import pytest

from im.errors import TemplateError
from im.sources.load import Reading, load

HEADER = "tosca_definitions_version: tosca_simple_yaml_1_0\n"
TYPES = """
capability_types:
  tosca.capabilities.indigo.Endpoint:
    derived_from: tosca.capabilities.Endpoint
    properties: { dns_name: { type: string, required: false } }
  tosca.capabilities.indigo.Scalable:
    derived_from: tosca.capabilities.Scalable
    properties:
      count: { type: integer, required: false }
      removal_list: { type: list, entry_schema: { type: string }, default: [], required: false }
node_types:
  tosca.nodes.indigo.Compute:
    derived_from: tosca.nodes.Compute
    capabilities:
      endpoint: { type: tosca.capabilities.indigo.Endpoint }
      scalable: { type: tosca.capabilities.indigo.Scalable }
  tosca.nodes.indigo.Tool: { derived_from: tosca.nodes.SoftwareComponent }
  tosca.nodes.indigo.Qcg.Job: { derived_from: tosca.nodes.Root }
topology_template:
  node_templates:
"""
MACHINE = """
    server:
      type: tosca.nodes.indigo.Compute
      capabilities:
        endpoint: { properties: { network_name: PUBLIC, dns_name: "%s" } }
"""


@pytest.fixture
def read(tmp_path):
    def build(nodes, dialect="auto"):
        path = tmp_path / "t.yaml"
        path.write_text(HEADER + TYPES.lstrip("\n") + nodes.lstrip("\n"))
        return load(path, {}, Reading(dialect=dialect))

    return build


MISTAKES = """
    server: { type: tosca.nodes.Compute, capabilities: { os: { properties: { image: img, type: linux, type: linux } } } }
    tool: { type: tosca.nodes.indigo.Tool, properties: { colour: red }, requirements: [ { host: server } ] }
"""


def test_what_im_does_not_mind_is_a_warning(read):
    topology = read(MISTAKES)
    assert topology.groups[0].os.image == "img"
    assert [(warning.code, warning.message) for warning in topology.warnings] == [
        ("duplicate-key", "the key 'type' stands here twice"),
        ("unknown-property", "there is no property 'colour' of 'tool'"),
    ]


def test_strictly_read_it_is_an_error(read):
    with pytest.raises(TemplateError) as caught:
        read(MISTAKES, "tosca")
    assert [(found.code, found.severity) for found in caught.value.findings] == [
        ("unknown-property", "error"),
        ("duplicate-key", "error"),
        ("unknown-property", "error"),
    ]


def test_a_template_that_is_not_for_im_is_read_strictly_unless_one_says_so(read):
    text = "    server: { type: tosca.nodes.Compute, properties: { colour: red } }\n"
    with pytest.raises(TemplateError):
        read(text)
    assert [warning.code for warning in read(text, "im").warnings] == ["unknown-property"]


@pytest.mark.parametrize(
    ("dns_name", "host_name"), [("front", "front"), ("vnode-#N#", "vnode"), ("a.example.org", "a")]
)
def test_machines_are_called_as_the_endpoint_says(read, dns_name, host_name):
    assert read(MACHINE % dns_name).groups[0].host_name == host_name


def test_how_many_there_are_and_who_goes_first_is_said_as_im_has_it(read):
    text = """
    w:
      type: tosca.nodes.indigo.Compute
      capabilities: { scalable: { properties: { count: 2, removal_list: [ w-3, "0f1e-7" ] } } }
"""
    group = read(text).group("w")
    assert (group.count, group.removal_list) == (2, ("w-3", "0f1e-7"))


def test_a_job_for_another_service_is_refused_with_that_reason(read):
    with pytest.raises(TemplateError) as caught:
        read("    work: { type: tosca.nodes.indigo.Qcg.Job }\n")
    assert [str(found).partition(": ")[2] for found in caught.value.findings] == [
        "error no-machines: the template describes jobs for QosCosGrid ('work'), and no machine that im could make (another service runs these; or add machines for them)"
    ]


def test_a_job_beside_machines_is_a_warning(read):
    topology = read(MACHINE % "front" + "    work: { type: tosca.nodes.indigo.Qcg.Job }\n")
    assert [group.name for group in topology.groups] == ["server"]
    assert [warning.message for warning in topology.warnings] == [
        "'work' describes jobs for QosCosGrid, which another service runs"
    ]
