"""Compute nodes become groups of machines with networks, ports, shared folders and one front-end."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import pytest

from im.topology.model import Hardware, Network, OperatingSystem, Port


def machine(name="a", body=""):
    return f"    {name}:\n      type: tosca.nodes.Compute\n{body}"


def template(*nodes, imports=""):
    return f"{imports}topology_template:\n  node_templates:\n" + "\n".join(nodes) + "\n"


def capabilities(**sections):
    lines = ["      capabilities:"]
    lines += [f"        {name}: {{ properties: {{ {content} }} }}" for name, content in sections.items()]
    return "\n".join(lines) + "\n"


def test_the_normative_capabilities_say_what_a_machine_needs(deploy):
    body = capabilities(
        host="num_cpus: 4, mem_size: 2 GB, disk_size: 10 GiB",
        os="architecture: x86_64, type: linux, distribution: debian, version: 12.10",
    )
    group = deploy(template(machine(body=body))).groups[0]
    assert group.hardware == Hardware(cpus=4, memory=2_000_000_000, disk=10_737_418_240)
    assert group.os == OperatingSystem("", "x86_64", "linux", "debian", "12.10")


def test_conditions_on_hardware_are_taken_as_the_least_that_fits(deploy):
    body = capabilities(host="num_cpus: { greater_or_equal: 4 }, mem_size: { in_range: [ 1 GB, 2 GB ] }")
    hardware = deploy(template(machine(body=body))).groups[0].hardware
    assert (hardware.cpus, hardware.memory) == (4, 1_000_000_000)


def test_the_short_properties_of_our_types_win_over_the_capabilities(deploy):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        f:
          type: im.nodes.FrontEnd
          properties: { cpus: 2, memory: 1 GB, disk: 5 GB, gpus: 1, flavor: big, image: "ost://cloud/id-1", user: alice }
          capabilities: { host: { properties: { num_cpus: 8 } } }
    """
    topology = deploy(text)
    assert topology.front_end.hardware == Hardware(2, 1_000_000_000, 5_000_000_000, 1, "big")
    assert topology.front_end.os.image == "id-1"
    assert topology.user == "alice"


@pytest.mark.parametrize(
    ("scalable", "counts"),
    [
        ("default_instances: 3", (3, 0, 1_000_000)),
        ("min_instances: 2, max_instances: 5, default_instances: 3", (3, 2, 5)),
        ("min_instances: 2, max_instances: 5", (2, 2, 5)),
    ],
)
def test_scalable_says_how_many_there_are(deploy, scalable, counts):
    group = deploy(template(machine(body=capabilities(scalable=scalable)))).groups[0]
    assert (group.count, group.min_count, group.max_count) == counts


def test_a_working_node_counts_by_its_property(deploy):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        w: { type: im.nodes.WorkingNode, properties: { count: 0, min_count: 0, max_count: 9, on_failure: replace } }
    """
    group = deploy(text).group("w")
    assert (group.count, group.min_count, group.max_count, group.on_failure) == (0, 0, 9, "replace")


def test_an_endpoint_says_public_or_private(deploy):
    nodes = [machine("a"), machine("b", capabilities(endpoint="network_name: PUBLIC"))]
    topology = deploy(template(*nodes))
    assert [(group.name, group.public, group.networks) for group in topology.groups] == [
        ("a", False, ("private",)),
        ("b", True, ("private", "public")),
    ]
    assert topology.networks == (Network("private"), Network("public", public=True))


@pytest.mark.parametrize(
    ("wanted", "networks"),
    [
        ("net-1", (Network("net-1", existing="net-1"),)),
        ("net-1.PUBLIC", (Network("private"), Network("net-1", public=True, existing="net-1"))),
        ("net-1.PRIVATE", (Network("net-1", existing="net-1"),)),
        ('"net-1,pool"', (Network("net-1", existing="net-1"), Network("pool", public=True, existing="pool"))),
    ],
)
def test_an_endpoint_may_name_a_network_of_the_cloud(deploy, wanted, networks):
    body = capabilities(endpoint=f"network_name: {wanted}")
    assert deploy(template(machine(body=body))).networks == networks


def test_ports_and_networks_of_the_template_are_followed_in_their_order(deploy):
    text = """
    topology_template:
      node_templates:
        a: { type: tosca.nodes.Compute }
        outside: { type: tosca.nodes.network.Network, properties: { network_type: public, network_name: ext } }
        inside: { type: tosca.nodes.network.Network, properties: { network_name: own, cidr: 10.1.0.0/24 } }
        second: { type: tosca.nodes.network.Port, properties: { order: 1 }, requirements: [ { binding: a }, { link: outside } ] }
        first: { type: tosca.nodes.network.Port, properties: { order: 0 }, requirements: [ { binding: a }, { link: inside } ] }
    """
    topology = deploy(text)
    assert topology.groups[0].networks == ("inside", "outside")
    assert topology.groups[0].public
    assert topology.networks == (
        Network("outside", public=True, existing="ext"),
        Network("inside", cidr="10.1.0.0/24"),
    )


def test_ports_are_open_as_the_endpoint_says(deploy):
    ports = "ports: { a: { source: 80 }, b: { protocol: udp, source_range: [ 5000, 5010 ] }, c: { target: 443 } }"
    assert deploy(template(machine(body=capabilities(endpoint=ports)))).groups[0].ports == (
        Port(80, 80),
        Port(5000, 5010, "udp"),
        Port(443, 443),
    )


def test_our_front_end_type_is_the_front_end(deploy):
    front = "    z: { type: im.nodes.FrontEnd }"
    nodes = [machine("a", capabilities(endpoint="network_name: PUBLIC")), front]
    assert deploy(template(*nodes, imports="imports: [ im/types.yaml ]\n")).front_end.name == "z"


def test_else_the_first_public_group_is_the_front_end(deploy):
    nodes = [machine("a"), machine("b", capabilities(endpoint="network_name: PUBLIC"))]
    assert deploy(template(*nodes)).front_end.name == "b"


def test_else_the_first_group_with_a_node_is_the_front_end(deploy):
    nodes = [
        machine("a", capabilities(scalable="min_instances: 0, default_instances: 0")),
        machine("b"),
    ]
    assert deploy(template(*nodes)).front_end.name == "b"


def test_a_front_end_works_only_where_nobody_else_does(deploy):
    front = "    f: { type: im.nodes.FrontEnd }"
    workers = "    w: {{ type: im.nodes.WorkingNode, properties: {{ count: {} }} }}"
    imports = "imports: [ im/types.yaml ]\n"
    assert not deploy(template(front, workers.format(1), imports=imports)).front_end.works
    assert deploy(template(front, workers.format(0), imports=imports)).front_end.works


def test_shared_folders_join_the_groups_that_require_them(deploy):
    text = """
    imports: [ im/types.yaml ]
    topology_template:
      node_templates:
        f: { type: im.nodes.FrontEnd, requirements: [ { shared: home }, { shared: data } ] }
        w: { type: im.nodes.WorkingNode, requirements: [ { shared: home } ] }
        home: { type: im.nodes.SharedDirectory }
        data: { type: im.nodes.SharedDirectory, properties: { path: /data } }
    """
    topology = deploy(text)
    assert (topology.group("f").shared, topology.group("w").shared) == (("/data", "/home"), ("/home",))
