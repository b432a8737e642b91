"""A node that an imported template describes in detail becomes the nodes of that template."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

from textwrap import dedent

import pytest

from im.errors import TemplateError
from im.sources.load import load

VERSION = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TYPES = """
node_types:
  my.Database:
    derived_from: tosca.nodes.Root
    properties:
      cpus: { type: integer, default: 3 }
      password: { type: string }
    capabilities:
      access: { type: tosca.capabilities.Endpoint }
    requirements:
      - backup: { capability: tosca.capabilities.Node, node: tosca.nodes.Root, relationship: tosca.relationships.DependsOn, occurrences: [ 0, 1 ] }
"""
SUBSTITUTE = """
imports: [ types.yaml ]
topology_template:
  inputs:
    size: { type: integer, default: 1 }
    password: { type: string }
    port: { type: integer, default: 5432 }
  substitution_mappings:
    node_type: my.Database
    properties: { cpus: [ size ] }
    capabilities: { access: [ engine, feature ] }
    requirements: { backup: [ engine, dependency ] }
    attributes: { address: [ machine, private_address ] }
  node_templates:
    machine:
      type: tosca.nodes.Compute
      capabilities: { host: { properties: { num_cpus: { get_input: size } } } }
    engine:
      type: tosca.nodes.SoftwareComponent
      requirements: [ { host: machine } ]
      interfaces:
        Standard:
          configure:
            implementation: engine.yml
            inputs:
              word: { get_input: password }
              port: { get_input: port }
              where: { get_attribute: [ machine, private_address, 0 ] }
  outputs:
    url: { value: { concat: [ "db://", { get_attribute: [ machine, private_address, 0 ] } ] } }
"""
MAIN = """
imports: [ types.yaml, database.yaml ]
topology_template:
  inputs: { secret: { type: string, default: s3cret } }
  node_templates:
    db:
      type: my.Database
      properties: { password: { get_input: secret } }
      requirements: [ { backup: store } ]
    store: { type: tosca.nodes.Compute }
    app:
      type: tosca.nodes.SoftwareComponent
      requirements: [ { host: store }, { dependency: { node: db, capability: access } } ]
      interfaces:
        Standard:
          configure:
            implementation: engine.yml
            inputs: { db: { get_attribute: [ db, address, 0 ] }, cpus: { get_property: [ db, cpus ] } }
  groups:
    all: { type: tosca.groups.Root, members: [ db, store ] }
  policies:
    - apart: { type: tosca.policies.Placement, targets: [ all ], properties: { availability_zone: z } }
  outputs:
    url: { value: { get_attribute: [ db, url ] } }
"""


@pytest.fixture
def read(tmp_path):
    def build(main=MAIN, substitute=SUBSTITUTE):
        (tmp_path / "engine.yml").write_text("- hosts: all\n")
        for name, text in (("types.yaml", TYPES), ("database.yaml", substitute), ("t.yaml", main)):
            (tmp_path / name).write_text(VERSION + dedent(text))
        return load(tmp_path / "t.yaml", {})

    return build


def test_the_nodes_of_the_substitute_are_called_after_the_node(read):
    topology = read()
    assert topology.warnings == ()
    assert [group.name for group in topology.groups] == ["db_machine", "store"]
    assert [(one.name, one.host, one.level) for one in topology.software] == [
        ("db_engine", "db_machine", 0),
        ("app", "store", 1),
    ]


def test_its_properties_are_the_inputs_of_the_substitute(read):
    topology = read()
    assert topology.group("db_machine").hardware.cpus == 3
    assert topology.software[0].operations[0].inputs == {
        "word": "s3cret",
        "port": 5432,
        "where": {"get_attribute": ["db_machine", "private_address", 0]},
    }


def test_its_attributes_are_mapped_ones_or_outputs(read):
    topology = read()
    assert topology.software[1].operations[0].inputs == {
        "db": {"get_attribute": ["db_machine", "private_address", 0]},
        "cpus": 3,
    }
    assert topology.outputs[0].value == {"concat": ["db://", {"get_attribute": ["db_machine", "private_address", 0]}]}


def test_groups_have_its_nodes_as_members(read):
    assert {group.availability_zone for group in read().groups} == {"z"}


def test_two_nodes_of_one_type_become_two_sets_of_nodes(read):
    more = MAIN.replace(
        "    store: {", "    other: { type: my.Database, properties: { password: x, cpus: 5 } }\n    store: {", 1
    )
    topology = read(more)
    assert {group.name: group.hardware.cpus for group in topology.groups} == {
        "db_machine": 3,
        "other_machine": 5,
        "store": 1,
    }


def test_a_template_that_contains_itself_has_no_end(read):
    again = SUBSTITUTE.replace("  outputs:", "    more: { type: my.Database, properties: { password: x } }\n  outputs:")
    with pytest.raises(TemplateError) as caught:
        read(substitute=again)
    assert [finding.code for finding in caught.value.findings] == ["cycle"]


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("properties: { password: { get_input: secret } }", "properties: {}", "missing-input", "'db' has no value for the input 'password' of its substitute"),
        ("[ db, address, 0 ]", "[ db, colour ]", "function", "the substitute of 'db' says nothing about its attribute 'colour'"),
        ("type: my.Database\n", "type: tosca.nodes.Root\n      directives: [ substitute ]\n", None, None),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(read, old, new, code, message):
    if code is None:
        assert [group.name for group in read(MAIN.replace(old, new)).groups] == ["db_machine", "store"]
        return
    with pytest.raises(TemplateError) as caught:
        read(MAIN.replace(old, new))
    errors = [finding for finding in caught.value.findings if finding.severity == "error"]
    assert code in {finding.code for finding in errors}
    assert message is None or message in {finding.message for finding in errors}


@pytest.mark.parametrize(
    ("main", "substitute"),
    [
        (MAIN, SUBSTITUTE.replace("  outputs:", "    null: { type: tosca.nodes.Root }\n  outputs:")),
        (MAIN.replace("    db:", "    null:"), SUBSTITUTE),
    ],
)
def test_a_node_whose_name_is_no_text_is_said_on_either_side(read, main, substitute):
    with pytest.raises(TemplateError, match="the name of a node must be a text, not None"):
        read(main, substitute)


def test_a_requirement_that_no_mapping_takes_is_an_error(read):
    with pytest.raises(TemplateError, match="the requirement 'backup' of 'db' is mapped to no node of its substitute"):
        read(substitute=SUBSTITUTE.replace("    requirements: { backup: [ engine, dependency ] }\n", ""))


def test_without_a_substitute_the_directive_is_an_error(read):
    text = MAIN.replace(", database.yaml", "").replace(
        "type: my.Database", "type: my.Database\n      directives: [ substitute ]"
    )
    with pytest.raises(TemplateError, match="no imported template substitutes 'db'"):
        read(text)
