"""Software runs on its group, in the order that the relationships say, with inputs that are answered."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import pytest

CHAIN = """
node_types:
  my.Tool:
    derived_from: tosca.nodes.SoftwareComponent
    properties:
      answer: { type: integer, default: 42 }
    interfaces:
      Standard:
        configure:
          implementation: tool.yml
          inputs:
            answer: { get_property: [ SELF, answer ] }
            address: { get_attribute: [ HOST, private_address, 0 ] }
        create: tool.sh
        delete: gone.yml
topology_template:
  node_templates:
    server: { type: tosca.nodes.Compute }
    other: { type: tosca.nodes.Compute }
    z_first: { type: my.Tool, requirements: [ { host: server } ] }
    a_last: { type: my.Tool, requirements: [ { host: server }, { dependency: m_middle } ] }
    m_middle: { type: my.Tool, requirements: [ { host: other }, { dependency: z_first } ] }
"""
FILES = ("tool.yml", "tool.sh", "roles.yml", "x/deep.yml")


def test_levels_follow_the_requirements(deploy):
    topology = deploy(CHAIN, files=FILES)
    assert [(one.name, one.host, one.level) for one in topology.software] == [
        ("z_first", "server", 0),
        ("m_middle", "other", 1),
        ("a_last", "server", 2),
    ]


def test_operations_run_in_the_order_of_the_life_cycle_and_stop_and_delete_do_not(deploy, tmp_path):
    operations = deploy(CHAIN, files=FILES).software[0].operations
    assert [(one.name, one.kind, one.implementation) for one in operations] == [
        ("create", "script", str(tmp_path / "tool.sh")),
        ("configure", "playbook", str(tmp_path / "tool.yml")),
    ]


def test_inputs_are_answered_and_wait_for_addresses_only(deploy):
    configure = deploy(CHAIN, files=FILES).software[0].operations[1]
    assert configure.inputs == {"answer": 42, "address": {"get_attribute": ["server", "private_address", 0]}}


def test_a_node_template_may_replace_what_its_type_runs(deploy, tmp_path):
    text = CHAIN.replace(
        "z_first: { type: my.Tool, requirements: [ { host: server } ] }",
        "z_first: { type: my.Tool, requirements: [ { host: server } ], "
        "interfaces: { Standard: { configure: { implementation: x/deep.yml, inputs: { answer: 1 } } } } }",
    )
    operation = deploy(text, files=FILES).software[0].operations[1]
    assert operation.implementation == str(tmp_path / "x" / "deep.yml")
    assert operation.inputs == {"answer": 1}


@pytest.mark.parametrize(
    "configure",
    [
        "configure: tool.yml",
        "configure: { implementation: tool.yml }",
        "configure: { implementation: { primary: tool.yml, timeout: 60 } }",
        "configure: { implementation: play }",
        "operations: { configure: { implementation: tool.yml } }",
    ],
)
def test_an_implementation_may_be_written_in_every_way_of_tosca(deploy, configure):
    text = f"""
topology_template:
  node_templates:
    server: {{ type: tosca.nodes.Compute }}
    tool:
      type: tosca.nodes.SoftwareComponent
      requirements: [ {{ host: server }} ]
      artifacts: {{ play: {{ file: tool.yml, type: tosca.artifacts.File }} }}
      interfaces: {{ Standard: {{ {configure} }} }}
"""
    operations = deploy(text, files=FILES).software[0].operations
    assert [(one.name, one.kind) for one in operations] == [("configure", "playbook")]


def test_operations_of_a_relationship_run_at_its_ends(deploy):
    text = """
    relationship_types:
      my.Link:
        derived_from: tosca.relationships.DependsOn
        properties: { speed: { type: integer, default: 7 } }
        interfaces:
          Configure:
            pre_configure_source:
              implementation: tool.yml
              inputs: { speed: { get_property: [ SELF, speed ] }, who: { get_attribute: [ TARGET, private_address ] } }
            post_configure_target: tool.sh
    topology_template:
      node_templates:
        server: { type: tosca.nodes.Compute }
        other: { type: tosca.nodes.Compute }
        a: { type: tosca.nodes.SoftwareComponent, requirements: [ { host: server } ] }
        b:
          type: tosca.nodes.SoftwareComponent
          requirements: [ { host: other }, { dependency: { node: a, relationship: my.Link } } ]
    """
    found = {one.name: one.operations for one in deploy(text, files=FILES).software}
    assert [(one.name, one.inputs) for one in found["b"]] == [
        ("pre_configure_source", {"speed": 7, "who": {"get_attribute": ["server", "private_address"]}})
    ]
    assert [(one.name, one.kind) for one in found["a"]] == [("post_configure_target", "script")]


def test_a_machine_with_operations_of_its_own_is_configured_before_what_it_hosts(deploy):
    text = """
    topology_template:
      node_templates:
        server: { type: tosca.nodes.Compute, interfaces: { Standard: { configure: tool.yml } } }
        tool:
          type: tosca.nodes.SoftwareComponent
          requirements: [ { host: server } ]
          interfaces: { Standard: { configure: tool.yml } }
    """
    assert [(one.name, one.level) for one in deploy(text, files=FILES).software] == [("server", 0), ("tool", 1)]


def test_our_recipes_are_named_and_what_they_offer_is_known(deploy):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        f: { type: im.nodes.FrontEnd }
        engine: { type: im.nodes.Udocker, requirements: [ { host: f } ], properties: { registry: "http://10.0.0.1:5000" } }
        mpi: { type: im.nodes.OpenMPI, requirements: [ { host: f } ] }
        docker: { type: im.nodes.Docker, requirements: [ { host: f } ] }
    """
    found = {one.name: one for one in deploy(text).software}
    assert found["engine"].provides == {"container_engine": {"engine": "udocker"}}
    assert found["docker"].provides == {"container_engine": {"engine": "docker"}}
    assert found["mpi"].provides == {"mpi": {"family": "openmpi"}}
    operation = found["engine"].operations[0]
    assert (operation.kind, operation.implementation) == ("role", "udocker")
    assert operation.inputs["udocker_registry"] == "http://10.0.0.1:5000"


def test_a_chain_longer_than_the_limit_of_recursion_is_ordered(deploy):
    nodes = "".join(
        f"    n{n}: {{ type: tosca.nodes.SoftwareComponent, requirements: [ {{ host: server }}"
        + (f", {{ dependency: n{n - 1} }}" if n else "")
        + " ] }\n"
        for n in range(1200)
    )
    text = f"topology_template:\n  node_templates:\n    server: {{ type: tosca.nodes.Compute }}\n{nodes}"
    assert deploy(text).software[-1].level == 1199


GALAXY = """
artifact_types:
  tosca.artifacts.AnsibleGalaxy.role: { derived_from: tosca.artifacts.Root }
topology_template:
  node_templates:
    server: { type: tosca.nodes.Compute }
    tool:
      type: tosca.nodes.SoftwareComponent
      requirements: [ { host: server } ]
      artifacts: { nfs: { file: "owner.nfs,v1", type: tosca.artifacts.AnsibleGalaxy.role } }
      interfaces: { Standard: { configure: x/deep.yml } }
"""


def test_a_role_of_galaxy_is_said_to_be_missing(findings):
    assert findings(GALAXY, files=FILES) == [
        "t.yaml:10:20: warning galaxy: the role 'owner.nfs' of 'tool' cannot be had: Ansible Galaxy is not asked (map galaxy/owner.nfs to its folder (import_map), or allow the host galaxy.ansible.com (import_hosts))"
    ]


def test_a_role_beside_the_playbook_is_there(findings):
    assert findings(GALAXY, files=(*FILES, "x/roles/owner.nfs/tasks/main.yml")) == []


def test_what_never_runs_or_is_never_copied_is_said(findings):
    text = """
    topology_template:
      node_templates:
        server: { type: tosca.nodes.Compute }
        tool:
          type: tosca.nodes.SoftwareComponent
          requirements: [ { host: server } ]
          artifacts: { conf: { file: tool.yml, type: tosca.artifacts.File, deploy_path: /etc } }
          interfaces:
            Standard:
              configure: { implementation: { primary: tool.yml, timeout: 60, dependencies: [ roles.yml ] } }
              delete: tool.sh
            Backup: { type: tosca.interfaces.Root, run: tool.sh }
      workflows: { w: { steps: {} } }
      outputs:
        log: { value: { get_attribute: [ server, state ] } }
    """
    found = findings(text, files=FILES)
    assert [line.partition(": warning ignored: ")[2] or line for line in found] == [
        "the artifact 'conf' of 'tool' is not copied to its 'deploy_path' (copy it in a playbook, from files/)",
        "'timeout' of the operation 'Standard.configure' of 'tool' is not followed",
        "'dependencies' of the operation 'Standard.configure' of 'tool' is not followed",
        "the operation 'Standard.delete' of 'tool' never runs",
        "the operation 'Backup.run' of 'tool' never runs",
        "workflows are not followed (the order is that of the requirements)",
        "the attribute 'state' of 'server' stays empty (there are: private_address, public_address, name, tosca_id, tosca_name, user, login)",
    ]
