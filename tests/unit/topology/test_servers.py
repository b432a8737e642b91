"""What a cloud's servers can have beside CPUs: volumes, zones, places, ports; what im does not do is said."""

# ruff: noqa: E501 - templates and the lines that users see are quoted as they are

from __future__ import annotations

import pytest

from im.topology.model import Network, Port, Volume

DISK = """
topology_template:
  node_templates:
    a:
      type: tosca.nodes.Compute
      capabilities: {{ scalable: {{ properties: {{ default_instances: {count} }} }} }}
      requirements:
        - local_storage: {{ node: disk, relationship: {{ type: tosca.relationships.AttachesTo, properties: {{ {attached} }} }} }}
    disk: {{ type: tosca.nodes.BlockStorage, properties: {{ {disk} }} }}
"""


def disk(disk="size: 10 GB", attached="location: /data", count=1):
    return DISK.format(disk=disk, attached=attached, count=count)


def ours(properties="", requirements="", more=""):
    return f"""
imports: [ im/types.yaml ]
topology_template:
  node_templates:
    f: {{ type: im.nodes.FrontEnd }}
    w:
      type: im.nodes.WorkingNode
      properties: {{ count: 3, {properties} }}
      requirements: [ {requirements} ]
    x: {{ type: im.nodes.WorkingNode }}
{more}"""


def policies(*items, kind="im.policies.Placement", more=""):
    lines = "".join(f"    - p{n}: {{ type: {kind}, {item} }}\n" for n, item in enumerate(items))
    return ours(more=f"{more}  policies:\n{lines}")


def test_block_storage_is_attached_where_it_is_mounted(deploy):
    assert deploy(disk()).groups[0].volumes == (Volume("disk", 10_000_000_000, "/data"),)


def test_a_volume_that_exists_is_named_by_its_id_or_ims_address_and_needs_no_size(deploy):
    for name in ("v-1", "ost://cloud.example.org/v-1"):
        group = deploy(disk(f'volume_id: "{name}"')).groups[0]
        assert group.volumes == (Volume("disk", 0, "/data", existing="v-1"),)


def test_ims_relationship_says_the_file_system(deploy):
    types = "relationship_types:\n  tosca.relationships.indigo.AttachesTo:\n    derived_from: tosca.relationships.AttachesTo\n    properties: { fs_type: { type: string, required: false } }\n"
    text = types + disk(attached="location: /data, fs_type: xfs").replace(
        "relationships.A", "relationships.indigo.A", 1
    )
    assert deploy(text).groups[0].volumes[0].file_system == "xfs"


def test_our_volumes_say_everything_themselves(deploy):
    scratch = "    scratch: { type: im.nodes.Volume, properties: { size: 5 GB, path: /scratch, file_system: xfs } }\n"
    topology = deploy(ours("boot_volume: 20 GB", "{ volume: scratch }", scratch))
    assert topology.group("w").volumes == (Volume("scratch", 5_000_000_000, "/scratch", "xfs"),)
    assert topology.group("w").boot_volume == 20_000_000_000


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            disk("size: 1 GB, snapshot_id: s-1"),
            "t.yaml:9:84: error volume: 'disk' begins as a snapshot, which im does not do (make a volume of it at the cloud and name that with volume_id)",
        ),
        (
            disk("volume_id: v-1", count=2),
            "t.yaml:8:11: error volume: the volume 'v-1' can be on one machine only, not on all 2 of 'a' (take 'size' for a new one on each)",
        ),
        (
            disk(attached="location: data"),
            "t.yaml:8:118: error volume: the volume 'disk' cannot be mounted at 'data' (such as /data)",
        ),
        (
            disk(attached='location: "/a;b"'),
            "t.yaml:8:118: error volume: the volume 'disk' cannot be mounted at '/a;b' (such as /data)",
        ),
        (
            disk(attached="location: /a/../etc"),
            "t.yaml:8:118: error volume: the volume 'disk' cannot be mounted at '/a/../etc' (such as /data)",
        ),
        (
            disk(attached="location: /data, device: hdb"),
            "t.yaml:8:125: warning ignored: the device 'hdb' of the volume 'disk' is not asked for (it is found by its identity)",
        ),
        (
            ours(more="    lost: { type: im.nodes.Volume, properties: { size: 5 GB } }\n"),
            "t.yaml:11:5: warning ignored: the volume 'lost' is on no machine and is not made (attach it: '- local_storage:' of a machine)",
        ),
    ],
)
def test_a_volume_that_cannot_be_had_so_is_said(findings, text, line):
    assert findings(text) == [line]


def test_two_volumes_at_one_place_are_an_error(findings):
    more = "".join(f"    {v}: {{ type: im.nodes.Volume, properties: {{ size: 5 GB, path: /v }} }}\n" for v in "pq")
    assert findings(ours(requirements="{ volume: p }, { volume: q }", more=more)) == [
        "t.yaml:9:40: error volume: 'w' has two volumes at /v (give each a folder of its own)"
    ]


def test_a_machine_says_its_zone_its_place_and_its_user_data(deploy):
    group = deploy(ours('availability_zone: z1, placement: soft-anti-affinity, user_data: "#!/bin/sh"')).group("w")
    assert (group.availability_zone, group.placement, group.user_data) == ("z1", "soft-anti-affinity", "#!/bin/sh")


def test_a_machine_names_a_key_pair_of_the_users(deploy):
    assert deploy(ours("key_pair: mine")).group("w").key_pair == "mine"


def test_ports_have_ranges_protocols_and_those_who_may_reach_them(deploy):
    ports = "ports: [ { port: 443 }, { port: 8000, last: 8010, protocol: udp, remote_cidr: 192.0.2.0/24 } ]"
    assert deploy(ours(ports)).group("w").ports == (Port(443, 443), Port(8000, 8010, "udp", "192.0.2.0/24"))


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ("{ port: 9, last: 8 }", "error value-type: 'w' opens something that is no port (a port, or a range, from 1 to 65535)"),
        ("{ port: 9, remote_cidr: me }", "error value-type: who may reach the port 9 of 'w' must be a range of addresses, not 'me' (10.0.0.0/24)"),
    ],
)  # fmt: skip
def test_what_is_no_port_is_said(findings, ports, message):
    assert findings(ours(f"ports: [ {ports} ]")) == [f"t.yaml:8:38: {message}"]


def test_a_named_network_outside_gives_public_addresses(deploy):
    more = "    ext: { type: im.nodes.Network, properties: { public: true, network_name: ext-net } }\n"
    topology = deploy(ours(requirements="{ network: ext }", more=more))
    assert topology.group("w").public
    assert Network("ext", public=True, existing="ext-net") in topology.networks


def test_a_range_with_wildcards_is_any_free_one(deploy):
    more = "    n: { type: im.nodes.Network, properties: { cidr: 10.*.*.0/24 } }\n"
    topology = deploy(ours(requirements="{ network: n }", more=more))
    assert topology.networks[0] == Network("n")
    assert [warning.code for warning in topology.warnings] == ["ignored"]


def test_a_policy_places_its_targets_and_the_members_of_groups(deploy):
    more = "  groups:\n    g: { type: tosca.groups.Root, members: [ w ] }\n"
    text = policies("targets: [ g ], properties: { placement: anti-affinity, availability_zone: z2 }", more=more)
    topology = deploy(text)
    assert (topology.group("w").placement, topology.group("w").availability_zone) == ("anti-affinity", "z2")
    assert topology.group("x").placement == ""
    assert topology.warnings == ()


def test_toscas_own_placement_takes_ims_properties(deploy):
    text = policies("targets: [ w ], properties: { availability_zone: z2 }", kind="tosca.policies.Placement")
    assert deploy(text).group("w").availability_zone == "z2"


def test_the_name_of_a_profiles_type_may_say_the_placement(deploy):
    types = "policy_types:\n  my.AntiAffinityRule: { derived_from: tosca.policies.Placement }\n"
    assert (
        deploy(types + policies("targets: [ w ]", kind="my.AntiAffinityRule")).group("w").placement == "anti-affinity"
    )


def test_one_group_in_two_places_is_an_error(findings):
    text = policies(*(f"targets: [ w ], properties: {{ placement: {word} }}" for word in ("affinity", "anti-affinity")))
    assert findings(text) == [
        "t.yaml:13:7: error policy: 'w' cannot have affinity and anti-affinity at once (remove one of the two)"
    ]


def test_one_group_in_two_zones_is_an_error(findings):
    text = policies(*(f"targets: [ w ], properties: {{ availability_zone: {zone} }}" for zone in ("z1", "z2")))
    assert findings(text) == ["t.yaml:13:91: error policy: 'w' cannot be in the zones z1 and z2 at once"]


@pytest.mark.parametrize(
    ("kind", "body", "warning"),
    [
        ("tosca.policies.Placement", "targets: [ w ], properties: { sla_id: s }", "'sla_id' of the policy 'p0' is not followed (an infrastructure is on one cloud: choose it with --cloud)"),
        ("tosca.policies.Placement", "targets: [ w ]", "the policy 'p0' says nothing about where (set 'placement' of im.policies.Placement)"),
        ("tosca.policies.Monitoring", "targets: [ w ]", "the policy 'p0' (a tosca.policies.Monitoring) means nothing to im"),
        ("tosca.policies.Scaling", "targets: [ w ], properties: { increment: 1 }", "'increment' of the policy 'p0' is not followed (im_client scale changes the number of machines)"),
    ],
)  # fmt: skip
def test_a_policy_that_im_does_not_follow_is_said(findings, kind, body, warning):
    found = findings(policies(body, kind=kind))
    assert [line.partition(" warning ignored: ")[2] for line in found] == [warning]


def test_a_scaling_policy_gives_limits(deploy):
    body = "targets: [ w ], properties: { min_instances: 2, max_instances: 8, default_instances: 4 }"
    group = deploy(policies(body, kind="tosca.policies.Scaling")).group("w")
    assert (group.count, group.min_count, group.max_count) == (4, 2, 8)


def test_a_count_beyond_the_limits_of_a_policy_is_an_error(findings):
    found = findings(policies("targets: [ w ], properties: { max_instances: 2 }", kind="tosca.policies.Scaling"))
    assert found == ["t.yaml:6:5: error policy: 'w' has 3 nodes, but the policy 'p0' wants 0 to 2"]


def test_a_group_without_a_policy_is_said_to_mean_nothing(findings):
    assert findings(ours(more="  groups:\n    g: { type: tosca.groups.Root, members: [ w ] }\n")) == [
        "t.yaml:12:5: warning ignored: the group 'g' means nothing to im without a policy that names it"
    ]


def test_what_changes_nothing_is_said(findings):
    text = """
    topology_template:
      node_templates:
        a:
          type: tosca.nodes.Compute
          capabilities:
            host: { properties: { cpu_frequency: 2 GHz } }
        n: { type: tosca.nodes.network.Network, properties: { ip_version: 6, gateway_ip: 10.0.0.1 } }
        p: { type: tosca.nodes.network.Port, properties: { ip_address: 10.0.0.9 }, requirements: [ { binding: a }, { link: n } ] }
    """
    assert [line.partition(": warning ignored: ")[2] for line in findings(text)] == [
        "'cpu_frequency' of 'a', capability 'host', changes nothing",
        "'n' has addresses of IP version 4 (not 6)",
        "'gateway_ip' of 'n' changes nothing",
        "'ip_address' of 'p' changes nothing (the network gives addresses)",
    ]
