"""A node filter chooses the node that fulfils a requirement."""

from __future__ import annotations

import pytest

CHOICE = """
topology_template:
  inputs: {{ many: {{ type: integer, default: 8 }} }}
  node_templates:
    small: {{ type: tosca.nodes.Compute, capabilities: {{ host: {{ properties: {{ num_cpus: 2 }} }} }} }}
    large:
      type: tosca.nodes.Compute
      capabilities: {{ host: {{ properties: {{ num_cpus: {{ get_input: many }}, mem_size: 8 GB }} }} }}
    tool:
      type: tosca.nodes.SoftwareComponent
      requirements:
        - host:
            node: {node}
            node_filter: {{ capabilities: [ {{ host: {{ properties: [ {condition} ] }} }} ] }}
"""


def choice(condition, node="tosca.nodes.Compute"):
    return CHOICE.format(condition=condition, node=node)


@pytest.mark.parametrize(
    ("condition", "host"),
    [
        ("{ num_cpus: { less_than: 4 } }", "small"),
        ("{ num_cpus: { in_range: [ 4, 16 ] } }", "large"),
        ("{ num_cpus: [ { greater_than: 2 }, { less_than: 9 } ] }", "large"),
        ("{ num_cpus: 2 }", "small"),
        ("{ mem_size: { greater_or_equal: 4 GB } }", "large"),
    ],
)
def test_the_node_that_keeps_the_conditions_is_taken(deploy, condition, host):
    topology = deploy(choice(condition))
    assert topology.software[0].host == host
    assert topology.warnings == ()


def test_a_filter_that_nothing_passes_is_an_error(findings):
    assert findings(choice("{ num_cpus: { greater_than: 99 } }")) == [
        "t.yaml:13:19: error missing-requirement: no node passes the node_filter of the requirement 'host' of 'tool' (looked at: small, large)"  # noqa: E501
    ]


def test_a_node_that_is_named_must_pass_too(findings):
    assert findings(choice("{ num_cpus: { greater_than: 4 } }", "small")) == [
        "t.yaml:13:19: error requirement: 'small' does not pass the node_filter of the requirement 'host' of 'tool'"
    ]


def test_a_constraint_that_does_not_exist_is_an_error(findings):
    found = findings(choice("{ num_cpus: { at_least: 4 } }", "small"))
    assert len(found) == 1
    assert "error unknown-key: there is no constraint 'at_least' (node_filter, 'num_cpus')" in found[0]
