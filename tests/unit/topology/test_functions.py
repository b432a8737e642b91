"""Functions are answered when the template is read, or when the nodes are known."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import pytest

from im.topology.functions import LIVE, evaluate
from im.topology.model import Output

ATTRIBUTES = {
    "front": {"public_address": ["192.0.2.7"], "private_address": ["10.0.0.2"], "login": "im_client ssh c"},
    "worker": {"public_address": [], "private_address": ["10.0.0.3", "10.0.0.4"]},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"get_attribute": ["front", "login"]}, "im_client ssh c"),
        ({"get_attribute": ["worker", "private_address"]}, ["10.0.0.3", "10.0.0.4"]),
        ({"get_attribute": ["worker", "private_address", 1]}, "10.0.0.4"),
        ({"get_attribute": ["worker", "public_address", 0]}, None),
        ({"get_attribute": ["nobody", "x"]}, None),
        ({"concat": ["http://", {"get_attribute": ["front", "public_address", 0]}, ":", 80]}, "http://192.0.2.7:80"),
        ({"concat": ["http://", {"get_attribute": ["worker", "public_address", 0]}]}, None),
        ({"join": [{"get_attribute": ["worker", "private_address"]}, ","]}, "10.0.0.3,10.0.0.4"),
        ({"token": [{"get_attribute": ["front", "private_address", 0]}, ".", 3]}, "2"),
        ({"a": [{"get_attribute": ["front", "login"]}, True]}, {"a": ["im_client ssh c", True]}),
        ("plain", "plain"),
        ({"token": "secret"}, {"token": "secret"}),
    ],
)
def test_functions_are_evaluated_with_the_attributes_of_the_nodes(value, expected):
    assert evaluate(value, ATTRIBUTES) == expected


TEMPLATE = """
imports: [ im/types.yaml ]
node_types:
  my.Server:
    derived_from: tosca.nodes.SoftwareComponent
    properties:
      port: { type: integer, default: 80 }
      release: { type: version, default: 1.10 }
    capabilities:
      web: { type: tosca.capabilities.Endpoint }
  my.Client:
    derived_from: tosca.nodes.SoftwareComponent
    properties:
      server: { type: string, default: "" }
    requirements:
      - server: { capability: tosca.capabilities.Endpoint, relationship: tosca.relationships.ConnectsTo }
topology_template:
  inputs:
    names: { type: list, entry_schema: { type: string }, default: [ a, b ] }
  node_templates:
    front: { type: im.nodes.FrontEnd }
    worker: { type: im.nodes.WorkingNode, properties: { count: 2 } }
    server:
      type: my.Server
      requirements: [ { host: worker } ]
      capabilities: { web: { properties: { port: 8080 } } }
    client:
      type: my.Client
      properties: { server: { get_attribute: [ server, private_address, 0 ] } }
      requirements: [ { host: front }, { server: server } ]
  outputs:
    value: { value: VALUE }
"""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{ get_input: names }", ["a", "b"]),
        ("{ get_input: [ names, 1 ] }", "b"),
        ("{ get_property: [ server, port ] }", 80),
        ("{ get_property: [ server, release ] }", "1.10"),
        ("{ get_property: [ server, web, port ] }", 8080),
        ("{ get_property: [ client, server, port ] }", 80),
        ("{ get_property: [ client, server ] }", {"get_attribute": ["worker", "private_address", 0]}),
        ("{ get_attribute: [ server, private_address ] }", {"get_attribute": ["worker", "private_address"]}),
        ("{ get_attribute: [ server, port ] }", 80),
        ("{ get_attribute: [ client, server, ip_address ] }", {"get_attribute": ["worker", "private_address", 0]}),
        ("{ get_attribute: [ front, login ] }", {"get_attribute": ["front", "login"]}),
        ("{ concat: [ a, { get_property: [ server, port ] }, true ] }", "a80true"),
        (
            "{ concat: [ x, { get_attribute: [ front, login ] } ] }",
            {"concat": ["x", {"get_attribute": ["front", "login"]}]},
        ),
        ("{ join: [ { get_input: names }, '-' ] }", "a-b"),
        ("{ token: [ 'a.b.c', '.', 1 ] }", "b"),
        ("{ get_nodes_of_type: im.nodes.Machine }", ["front", "worker"]),
    ],
)
def test_what_the_template_answers_is_put_in_its_place(deploy, written, read):
    assert deploy(TEMPLATE.replace("VALUE", written)).outputs == (Output("value", read),)


def test_functions_that_double_each_other_are_stopped(findings):
    properties = "\n".join(
        f"        p{n}: {{ concat: [ {{ get_property: [ SELF, p{n + 1} ] }}, {{ get_property: [ SELF, p{n + 1} ] }} ] }}"
        for n in range(22)
    )
    definitions = "\n".join(f"      p{n}: {{ type: string, default: x }}" for n in range(23))
    text = (
        f"node_types:\n  my.Node:\n    derived_from: tosca.nodes.Root\n    properties:\n{definitions}\n"
        f"topology_template:\n  node_templates:\n    n:\n      type: my.Node\n      properties:\n{properties}\n"
    )
    assert any(" too-deep: " in line for line in findings(text))


@pytest.mark.parametrize("attribute", LIVE)
def test_every_attribute_of_a_machine_may_be_asked_of_a_normative_one(deploy, attribute):
    text = f"""
    topology_template:
      node_templates:
        server: {{ type: tosca.nodes.Compute }}
      outputs:
        all: {{ value: {{ get_attribute: [ server, {attribute} ] }} }}
        first: {{ value: {{ get_attribute: [ server, {attribute}, 0 ] }} }}
    """
    topology = deploy(text)
    assert topology.warnings == ()
    assert [one.value["get_attribute"][1:] for one in topology.outputs] == [[attribute], [attribute, 0]]
