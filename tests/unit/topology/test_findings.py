"""Every bad template ends with all its findings, each at its exact place."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import pytest

from im.topology import library


def test_yaml_that_cannot_be_read_is_the_only_finding(findings):
    assert findings("topology_template: [\n") == [
        "t.yaml:3:1: error yaml: this is not YAML: did not find expected node content while parsing a flow node",
    ]


def test_an_indentation_error_has_its_line(findings):
    assert findings("topology_template:\n  a: 1\n b: 2\n") == [
        "t.yaml:4:2: error yaml: this is not YAML: did not find expected key while parsing a block mapping",
    ]


def test_a_key_that_stands_twice_is_an_error(findings):
    text = """
    topology_template:
      node_templates:
        a:
          type: tosca.nodes.Compute
        a:
          type: tosca.nodes.Compute
    """
    assert findings(text) == [
        "t.yaml:6:5: error duplicate-key: the key 'a' stands here twice (first on line 4)",
    ]


def test_a_missing_version_is_found_on_the_first_line(findings):
    assert findings("topology_template: {}\n", header="") == [
        "t.yaml:1:1: error version: 'tosca_definitions_version' is missing (begin with 'tosca_definitions_version: tosca_simple_yaml_1_3')",
    ]


@pytest.mark.parametrize("version", ["1_0", "1_1", "1_2", "1_3"])
def test_the_simple_profile_is_accepted(deploy, version):
    header = f"tosca_definitions_version: tosca_simple_yaml_{version}\n"
    text = """
    topology_template:
      node_templates:
        a:
          type: tosca.nodes.Compute
    """
    assert deploy(text, header=header).groups[0].name == "a"


def test_an_unknown_version_has_a_suggestion(findings):
    assert findings("description: x\n", header="tosca_definitions_version: tosca_simple_yaml_1_O\n") == [
        "t.yaml:1:28: error version: there is no TOSCA version 'tosca_simple_yaml_1_O' (did you mean 'tosca_simple_yaml_1_3'?)",
    ]


@pytest.mark.parametrize("version", ["1_0", "1_1", "1_2", "1_3"])
def test_versions_1_0_to_1_3_are_read(findings, version):
    text = "topology_template: { node_templates: { a: { type: tosca.nodes.Compute } } }\n"
    assert findings(text, header=f"tosca_definitions_version: tosca_simple_yaml_{version}\n") == []


def test_tosca_2_is_recognised_and_said_to_be_unsupported(findings):
    assert findings("description: x\n", header="tosca_definitions_version: tosca_2_0\n") == [
        "t.yaml:1:28: error version: TOSCA 2.0 is not supported yet (write it for tosca_simple_yaml_1_3)",
    ]


def test_an_unknown_node_type_has_a_suggestion(findings):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        frontend:
          type: im.nodes.FrontEn
    """
    assert findings(text) == [
        "t.yaml:6:13: error unknown-type: there is no node type 'im.nodes.FrontEn' (did you mean 'im.nodes.FrontEnd'?)",
    ]


def test_unknown_types_of_every_kind_are_found_at_once(findings):
    text = """
    node_types:
      my.Node:
        derived_from: tosca.nodes.Rot
        properties:
          a: { type: strin }
          b: { type: list, entry_schema: { type: my.Thing } }
        capabilities:
          c: { type: tosca.capabilities.Containe }
        requirements:
          - d: { capability: my.Cap, node: my.Other, relationship: my.Rel }
    topology_template:
      node_templates:
        a:
          type: tosca.nodes.Compute
          artifacts:
            f: { type: tosca.artifacts.Fil, file: x }
      groups:
        g: { type: my.Group, members: [ a, b ] }
      policies:
        - p: { type: my.Policy, targets: [ a, c ] }
    """
    assert findings(text) == [
        "t.yaml:4:19: error unknown-type: the node type 'my.Node' derives from 'tosca.nodes.Rot', which does not exist (did you mean 'tosca.nodes.Root'?)",
        "t.yaml:6:18: error unknown-type: there is no data type 'strin' (did you mean 'string'?)",
        "t.yaml:7:46: error unknown-type: there is no data type 'my.Thing' (is an import missing?)",
        "t.yaml:9:18: error unknown-type: there is no capability type 'tosca.capabilities.Containe' (did you mean 'tosca.capabilities.Container'?)",
        "t.yaml:11:26: error unknown-type: there is no capability type 'my.Cap' (is an import missing?)",
        "t.yaml:11:40: error unknown-type: there is no node type 'my.Other' (is an import missing?)",
        "t.yaml:11:64: error unknown-type: there is no relationship type 'my.Rel' (is an import missing?)",
        "t.yaml:17:20: error unknown-type: there is no artifact type 'tosca.artifacts.Fil' (did you mean 'tosca.artifacts.File'?)",
        "t.yaml:19:16: error unknown-type: there is no group type 'my.Group' (is an import missing?)",
        "t.yaml:19:40: error unknown-node: there is no node template 'b'",
        "t.yaml:21:18: error unknown-type: there is no policy type 'my.Policy' (is an import missing?)",
        "t.yaml:21:43: error unknown-node: there is no node template 'c'",
    ]


def test_an_unknown_property_has_a_suggestion(findings):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        frontend:
          type: im.nodes.FrontEnd
          properties:
            cpu: 2
    """
    assert findings(text) == [
        "t.yaml:8:9: error unknown-property: there is no property 'cpu' of 'frontend' (did you mean 'cpus'?)",
    ]


def test_an_unknown_capability_and_its_unknown_property_are_found(findings):
    text = """
    topology_template:
      node_templates:
        a:
          type: tosca.nodes.Compute
          capabilities:
            hots: {}
            host:
              properties:
                num_cpu: 1
    """
    assert findings(text) == [
        "t.yaml:7:9: error unknown-capability: 'a' has no capability 'hots' (did you mean 'host'?)",
        "t.yaml:10:13: error unknown-property: there is no property 'num_cpu' of 'a', capability 'host' (did you mean 'num_cpus'?)",
    ]


def test_a_missing_required_property_is_found_at_its_node(findings):
    text = """
    topology_template:
      node_templates:
        a:
          type: tosca.nodes.Compute
        disk:
          type: tosca.nodes.BlockStorage
    """
    assert findings(text) == [
        "t.yaml:6:5: error missing-property: the property 'size' of 'disk' is missing (or 'volume_id' of one that the cloud has)",
    ]


def test_values_of_the_wrong_type_are_found_at_the_value(findings):
    text = """
    node_types:
      my.Node:
        derived_from: tosca.nodes.Root
        properties:
          a: { type: integer }
          b: { type: boolean }
          c: { type: string }
          d: { type: scalar-unit.size }
          e: { type: list, entry_schema: { type: integer } }
          f: { type: map, entry_schema: { type: string } }
          g: { type: tosca.datatypes.Credential }
          h: { type: version }
          i: { type: float }
          j: { type: range }
          k: { type: timestamp }
          l: { type: scalar-unit.time }
    topology_template:
      node_templates:
        n:
          type: my.Node
          properties:
            a: many
            b: perhaps
            c: 5
            d: 1 lightyear
            e: [ 1, two ]
            f: { x: [] }
            g: { tokn: x }
            h: newest
            i: much
            j: [ 5, 1 ]
            k: yesterday
            l: 10
    """
    assert findings(text) == [
        "t.yaml:23:12: error value-type: 'a' of 'n' must be an integer, not 'many'",
        "t.yaml:24:12: error value-type: 'b' of 'n' must be a boolean, not 'perhaps'",
        "t.yaml:25:12: error value-type: 'c' of 'n' must be a string, not 5 (put it in quotes)",
        "t.yaml:26:12: error value-type: 'd' of 'n' must be a scalar-unit.size such as '1 GB', not '1 lightyear' (a number and a unit: B, kB, MB, GB, TB, PB, EB, ZB, YB, kiB, MiB, GiB, TiB, PiB, EiB, ZiB, YiB)",
        "t.yaml:27:17: error value-type: item 1 of 'e' of 'n' must be an integer, not 'two'",
        "t.yaml:28:17: error value-type: 'x' of 'f' of 'n' must be a string, not a list",
        "t.yaml:29:12: error missing-property: 'g' of 'n' needs 'token' (it is a tosca.datatypes.Credential)",
        "t.yaml:29:14: error unknown-property: 'g' of 'n' has no 'tokn' (did you mean 'token'?)",
        "t.yaml:30:12: error value-type: 'h' of 'n' must be a version, not 'newest' (such as 1.2.3)",
        "t.yaml:31:12: error value-type: 'i' of 'n' must be a float, not 'much'",
        "t.yaml:32:12: error value-type: 'j' of 'n' must be a range, not a list",
        "t.yaml:33:12: error value-type: 'k' of 'n' must be a timestamp, not 'yesterday'",
        "t.yaml:34:12: error value-type: 'l' of 'n' must be a scalar-unit.time such as '10 m', not 10 (a number and a unit: d, h, m, s, ms, us, ns)",
    ]


def test_values_against_their_constraints_are_found(findings):
    text = """
    data_types:
      my.Port: { derived_from: integer, constraints: [ in_range: [ 1, 65535 ] ] }
    node_types:
      my.Node:
        derived_from: tosca.nodes.Root
        properties:
          a: { type: integer, constraints: [ in_range: [ 1, 4 ] ] }
          b: { type: string, constraints: [ valid_values: [ x, y ] ] }
          c: { type: string, constraints: [ pattern: "[a-z]+" ] }
          d: { type: scalar-unit.size, constraints: [ greater_or_equal: 1 GB ] }
          e: { type: string, constraints: [ min_length: 2, max_length: 3 ] }
          f: { type: my.Port }
          g: { type: list, constraints: [ length: 2 ] }
          h: { type: float, constraints: [ less_than: 1.5, greater_than: 0 ] }
          i: { type: integer, constraints: [ equal: 7 ] }
    topology_template:
      node_templates:
        n:
          type: my.Node
          properties: { a: 5, b: z, c: A1, d: 10 MB, e: xxxx, f: 0, g: [ 1 ], h: 2.0, i: 8 }
    """
    assert findings(text) == [
        "t.yaml:21:24: error constraint: 'a' of 'n' is 5, but must be in the range 1, 4",
        "t.yaml:21:30: error constraint: 'b' of 'n' is 'z', but must be one of x, y",
        "t.yaml:21:36: error constraint: 'c' of 'n' is 'A1', but must match [a-z]+",
        "t.yaml:21:43: error constraint: 'd' of 'n' is '10 MB', but must be at least 1 GB",
        "t.yaml:21:53: error constraint: 'e' of 'n' is 'xxxx', but must have at most the length 3",
        "t.yaml:21:62: error constraint: 'f' of 'n' is 0, but must be in the range 1, 65535",
        "t.yaml:21:68: error constraint: 'g' of 'n' is a list, but must have the length 2",
        "t.yaml:21:78: error constraint: 'h' of 'n' is 2.0, but must be less than 1.5",
        "t.yaml:21:86: error constraint: 'i' of 'n' is 8, but must be 7",
    ]


def test_the_defaults_of_a_type_of_the_template_are_checked(findings):
    text = """
    node_types:
      my.Node:
        derived_from: tosca.nodes.Root
        properties:
          a: { type: integer, default: one }
          b: { type: string, constraints: [ longer_than: 3 ] }
    """
    assert findings(text) == [
        "t.yaml:6:36: error value-type: the default of 'a' must be an integer, not 'one'",
        "t.yaml:7:41: error unknown-key: there is no constraint 'longer_than' (did you mean 'less_than'?)",
    ]


INPUTS = """
topology_template:
  inputs:
    workers: { type: integer, constraints: [ in_range: [ 0, 9 ] ] }
    name: { type: string, default: x, required: false }
  node_templates:
    a:
      type: tosca.nodes.Compute
"""


def test_an_input_that_the_template_does_not_have_is_found(findings):
    assert findings(INPUTS, inputs={"workers": 1, "nmae": "y"}) == [
        "t.yaml:3:3: error unknown-input: the template has no input 'nmae' (did you mean 'name'?)",
    ]


def test_a_required_input_that_is_missing_is_found(findings):
    assert findings(INPUTS) == [
        "t.yaml:4:5: error missing-input: the input 'workers' has no default and was not given (give it with --input workers=VALUE)",
    ]


def test_an_input_of_the_wrong_type_is_found(findings):
    assert findings(INPUTS, inputs={"workers": "many"}) == [
        "t.yaml:4:5: error value-type: the input 'workers' must be an integer, not 'many'",
    ]


def test_an_input_against_its_constraint_is_found(findings):
    assert findings(INPUTS, inputs={"workers": 10}) == [
        "t.yaml:4:5: error constraint: the input 'workers' is 10, but must be in the range 0, 9",
    ]


def test_a_default_of_an_input_that_breaks_its_constraint_is_found(findings):
    text = """
    topology_template:
      inputs:
        n: { type: integer, default: 0, constraints: [ greater_than: 0 ] }
    """
    assert findings(text)[:1] == [
        "t.yaml:4:34: error constraint: the default of the input 'n' is 0, but must be greater than 0",
    ]


def test_an_input_cannot_be_a_function(findings):
    assert findings(INPUTS, inputs={"workers": 1, "name": {"get_input": "name"}}) == [
        "t.yaml:5:5: error function: the input 'name' cannot be a function",
    ]


def test_functions_that_name_what_does_not_exist_are_found(findings):
    text = """
    topology_template:
      inputs:
        size: { type: string, default: 1 GB }
      node_templates:
        a:
          type: tosca.nodes.Compute
          capabilities:
            host:
              properties:
                mem_size: { get_input: sise }
      outputs:
        x: { value: { get_attribute: [ b, private_address ] } }
        y: { value: { get_property: [ a, colour ] } }
        z: { value: { concat: [ a, { get_property: [ HOST, x ] } ] } }
        t: { value: { token: [ a ] } }
        o: { value: { get_operation_output: [ a, Standard, create, x ] } }
        r: { value: { get_artifact: [ a, data ] } }
    """
    assert findings(text) == [
        "t.yaml:11:23: error unknown-input: the template declares no input 'sise' (did you mean 'size'?)",
        "t.yaml:13:17: error unknown-node: there is no node 'b'",
        "t.yaml:14:17: error unknown-property: 'a' has no property 'colour'",
        "t.yaml:15:17: error unknown-node: 'HOST' means no node here",
        "t.yaml:16:17: error function: 'token' needs 3 arguments or more, not 1",
        "t.yaml:17:17: error function: the function 'get_operation_output' is not supported",
        "t.yaml:18:17: error artifact: 'a' has no artifact 'data'",
    ]


def test_a_requirement_that_aims_at_nothing_is_found_at_its_target(findings):
    text = """
    topology_template:
      node_templates:
        server:
          type: tosca.nodes.Compute
        software:
          type: tosca.nodes.SoftwareComponent
          requirements:
            - host: sever
    """
    assert findings(text) == [
        "t.yaml:9:17: error unknown-node: the requirement 'host' of 'software' names 'sever', which is no node template (did you mean 'server'?)",
    ]


def test_a_requirement_that_its_target_does_not_fulfil_is_found(findings):
    text = """
    topology_template:
      node_templates:
        net:
          type: tosca.nodes.network.Network
        software:
          type: tosca.nodes.SoftwareComponent
          requirements:
            - host: net
            - hots: net
    """
    assert findings(text) == [
        "t.yaml:9:17: error requirement: 'net' (a tosca.nodes.network.Network) does not fulfil the requirement 'host' of 'software' (it takes a tosca.nodes.Compute)",
        "t.yaml:10:11: error unknown-requirement: 'software' has no requirement 'hots' (did you mean 'host'?)",
    ]


def test_a_required_host_that_nothing_fulfils_is_found_at_the_node(findings):
    text = """
    topology_template:
      node_templates:
        server:
          type: tosca.nodes.Compute
        software:
          type: tosca.nodes.SoftwareComponent
    """
    assert findings(text) == [
        "t.yaml:6:5: error missing-requirement: 'software' needs the requirement 'host' (add '- host: NODE' to its requirements)",
    ]


def test_a_circle_of_requirements_is_named(findings):
    text = """
    topology_template:
      node_templates:
        server: { type: tosca.nodes.Compute }
        a:
          type: tosca.nodes.SoftwareComponent
          requirements: [ { host: server }, { dependency: b } ]
        b:
          type: tosca.nodes.SoftwareComponent
          requirements:
            - host: server
            - dependency: a
    """
    assert findings(text) == [
        "t.yaml:12:11: error cycle: the requirements run in a circle: a -> b -> a (one of them must go)",
    ]


def test_properties_that_refer_to_each_other_in_a_circle_are_found(findings):
    text = """
    node_types:
      my.Node: { derived_from: tosca.nodes.Root, properties: { a: { type: string }, b: { type: string } } }
    topology_template:
      node_templates:
        n:
          type: my.Node
          properties:
            a: { get_property: [ SELF, b ] }
            b: { get_property: [ SELF, a ] }
    """
    assert (
        findings(text)[0]
        == "t.yaml:9:12: error cycle: the properties refer to each other in a circle: n.b -> n.a -> n.b"
    )


def test_unknown_keys_are_found_wherever_they_stand(findings):
    text = """
    topology_templat: {}
    topology_template:
      node_template: {}
      inputs:
        a: { type: string, defalt: x }
      node_templates:
        n:
          type: tosca.nodes.Compute
          requirement: []
          interfaces:
            Standard:
              configure: { implementatio: x }
              confgure: x.yml
    """
    assert findings(text) == [
        "t.yaml:2:1: error unknown-key: the template has no key 'topology_templat' (did you mean 'topology_template'?)",
        "t.yaml:4:3: error unknown-key: 'topology_template' has no key 'node_template' (did you mean 'node_templates'?)",
        "t.yaml:6:5: error missing-input: the input 'a' has no default and was not given (give it with --input a=VALUE)",
        "t.yaml:6:24: error unknown-key: 'a' has no key 'defalt' (did you mean 'default'?)",
        "t.yaml:10:7: error unknown-key: 'n' has no key 'requirement' (did you mean 'requirements'?)",
        "t.yaml:13:24: error unknown-key: 'configure' has no key 'implementatio' (did you mean 'implementation'?)",
        "t.yaml:14:11: error unknown-operation: 'n' has no operation 'confgure' (did you mean 'configure'?)",
    ]


def test_sections_of_another_form_are_found(findings):
    text = """
    description: [ x ]
    node_types: 7
    topology_template:
      inputs: [ a ]
      node_templates:
        a: Compute
        b:
          type: tosca.nodes.Compute
          properties: 1
          requirements: { host: x }
    """
    assert findings(text) == [
        "t.yaml:2:14: error form: 'description' must be a text, not a list",
        "t.yaml:3:13: error form: 'node_types' must be a mapping, not 7",
        "t.yaml:5:11: error form: 'inputs' must be a mapping, not a list",
        "t.yaml:7:5: error form: 'a' must be a mapping, not 'Compute'",
        "t.yaml:10:19: error form: 'properties' must be a mapping, not 1",
        "t.yaml:11:21: error form: 'requirements' must be a list of '- name: ...' items, not a mapping",
    ]


def test_implementations_that_do_not_exist_are_found_where_they_are_named(findings):
    text = """
    topology_template:
      node_templates:
        server:
          type: tosca.nodes.Compute
          interfaces:
            Standard:
              create: recipes/udoker
              configure: missing.yml
              start: { implementation: ../outside.sh }
    """
    lines = findings(text)
    assert [line.split(" (operation")[0] for line in lines] == [
        "t.yaml:8:19: error artifact: there is no recipe 'udoker'",
        "t.yaml:9:22: error artifact: there is no file 'missing.yml'",
        "t.yaml:10:36: error artifact: '../outside.sh' is outside the template's folder",
    ]


def test_a_second_front_end_is_refused(findings):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        one: { type: im.nodes.FrontEnd }
        two: { type: im.nodes.FrontEnd }
    """
    assert findings(text) == [
        "t.yaml:6:5: error front-end: 'two' is a second front-end ('one' is the first)",
    ]


def test_a_count_outside_its_limits_is_found(findings):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        w:
          type: im.nodes.WorkingNode
          properties: { count: 5, max_count: 4 }
    """
    assert findings(text) == [
        "t.yaml:7:28: error constraint: 'w' wants 5 nodes, but must have 0 to 4",
    ]


def test_findings_of_all_kinds_come_at_once_and_in_the_order_of_their_lines(findings):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      inputs:
        n: { type: integer }
      node_templates:
        frontend:
          type: im.nodes.FrontEnd
          properties: { cpu: 1 }
        worker:
          type: im.nodes.Worker
        mpi:
          type: im.nodes.OpenMPI
          requirements: [ { host: works } ]
    """
    assert findings(text) == [
        "t.yaml:5:5: error missing-input: the input 'n' has no default and was not given (give it with --input n=VALUE)",
        "t.yaml:9:21: error unknown-property: there is no property 'cpu' of 'frontend' (did you mean 'cpus'?)",
        "t.yaml:11:13: error unknown-type: there is no node type 'im.nodes.Worker' (did you mean 'im.nodes.WorkingNode'?)",
        "t.yaml:14:31: error unknown-node: the requirement 'host' of 'mpi' names 'works', which is no node template (did you mean 'worker'?)",
    ]


def test_a_template_without_machines_is_only_doubtful(findings):
    assert findings("description: nothing\n") == [
        "t.yaml:1:1: warning no-machines: the template describes no machine (add a node of type im.nodes.FrontEnd)",
    ]


FRONT_END = """
imports: [ im/types.yaml ]
topology_template:
  node_templates:
    frontend: { type: im.nodes.FrontEnd }
"""


def test_tosca_parser_has_the_last_word_on_what_our_checks_pass(findings, monkeypatch):
    monkeypatch.setattr(library, "_ask", lambda module, asked: ('"frontend" is not to its taste',))
    assert findings(FRONT_END) == ['t.yaml:5:5: error tosca-parser: "frontend" is not to its taste']


def test_where_tosca_parser_breaks_the_template_still_counts(findings, monkeypatch):
    def breaks(module, asked):
        raise KeyError("x")

    monkeypatch.setattr(library, "_ask", breaks)
    assert findings(FRONT_END) == [
        "t.yaml:3:1: warning tosca-parser: tosca-parser could not judge the template (KeyError: 'x')",
    ]


def test_requirements_that_a_type_counts_in_vain_do_not_reject_a_template(deploy):
    text = """
    node_types:
      my.Portal:
        derived_from: tosca.nodes.WebServer
        requirements:
          - lrms: { capability: tosca.capabilities.Container, relationship: tosca.relationships.HostedOn }
    topology_template:
      node_templates:
        server: { type: tosca.nodes.Compute }
        portal: { type: my.Portal, requirements: [ { lrms: server } ] }
    """
    assert deploy(text).software[0].host == "server"


def test_a_chain_of_types_has_an_end(findings):
    types = "".join(f"  t{n}: {{ derived_from: t{n + 1} }}\n" for n in range(300))
    found = findings(f"node_types:\n{types}topology_template: {{ node_templates: {{ a: {{ type: t0 }} }} }}\n")
    assert "error too-deep: the node type 't0' has 64 ancestors or more" in found[0]


def test_warnings_never_hide_an_error(findings):
    nodes = "".join(
        f"    n{n}: {{ type: tosca.nodes.network.Network, properties: {{ ip_version: 6 }} }}\n" for n in range(250)
    )
    found = findings(
        f"topology_template:\n  node_templates:\n{nodes}    a: {{ type: tosca.nodes.Compute, requirements: [ {{ x: n0 }} ] }}\n"
    )
    assert next(line for line in found if " error " in line).startswith("t.yaml:254:55: error unknown-requirement")


def test_enough_errors_end_the_reading(findings):
    nodes = "".join(
        f"    node{n}: {{ type: tosca.nodes.SoftwareComponent, requirements: [ {{ host: q{n} }} ] }}\n"
        for n in range(250)
    )
    assert len(findings(f"topology_template:\n  node_templates:\n{nodes}")) == 200
