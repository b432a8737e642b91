"""Whatever a template looks like, it ends in a plan or in our own words with a place.

No traceback, no more than 5 s of CPU for any of them, no more than 500 MB for all. ``$IM_FUZZ`` is how many templates
are tried (`make fuzz`: 10,000).
"""

from __future__ import annotations

import copy
import os
import resource
import signal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from im.data_files import data_folder
from im.errors import ImError, TemplateError
from im.plan.diff import diff
from im.plan.model import Catalog, Flavor, Image
from im.sources.load import load

EXAMPLES = int(os.environ.get("IM_FUZZ") or 1000)
SECONDS = 5
MEGABYTES = 500
SHIPPED = ("mpi_cluster.yaml", "data_cluster.yaml", "examples/own_playbook/cluster.yaml")
FOR_IM = """\
tosca_definitions_version: tosca_simple_yaml_1_0
capability_types:
  tosca.capabilities.indigo.Endpoint:
    derived_from: tosca.capabilities.Endpoint
    properties: { dns_name: { type: string, required: false }, private_ip: { type: boolean, default: true } }
node_types:
  tosca.nodes.indigo.Compute:
    derived_from: tosca.nodes.Compute
    capabilities: { endpoint: { type: tosca.capabilities.indigo.Endpoint } }
artifact_types:
  tosca.artifacts.AnsibleGalaxy.role: { derived_from: tosca.artifacts.Root }
policy_types:
  tosca.policies.indigo.Placement: { derived_from: tosca.policies.Placement }
topology_template:
  inputs:
    number: { type: integer, default: 2, constraints: [ greater_or_equal: 1 ] }
    word: { type: string, default: random(8) }
  node_templates:
    server:
      type: tosca.nodes.indigo.Compute
      capabilities:
        endpoint:
          properties: { network_name: "net,pool", dns_name: server, ports: { web: { protocol: tcp, source: 80 } } }
        host: { properties: { num_cpus: { greater_or_equal: 2 }, mem_size: 1 GB } }
        os: { properties: { image: "ost://cloud.example.org/id", distribution: ubuntu, version: 16.04 } }
      requirements:
        - local_storage:
            node: disk
            relationship: { type: tosca.relationships.AttachesTo, properties: { location: /data, device: hdb } }
    worker:
      type: tosca.nodes.indigo.Compute
      capabilities:
        scalable: { properties: { min_instances: 0, max_instances: 9, default_instances: { get_input: number } } }
    disk: { type: tosca.nodes.BlockStorage, properties: { size: 10 GB } }
    tool:
      type: tosca.nodes.SoftwareComponent
      artifacts:
        nfs: { type: tosca.artifacts.AnsibleGalaxy.role, file: "owner.nfs,v1", checksum: 0a, checksum_algorithm: MD5 }
        far: { type: tosca.artifacts.AnsibleGalaxy.role, file: "git+https://github.com/owner/far,v2|far" }
      requirements: [ { host: server } ]
      interfaces: { Standard: { create: tool.sh, configure: { implementation: recipes/udocker } } }
    net: { type: tosca.nodes.network.Network, properties: { network_type: private, cidr: 10.0.*.0/24 } }
    port: { type: tosca.nodes.network.Port, requirements: [ { binding: worker }, { link: net } ] }
  groups:
    all: { type: tosca.groups.Root, members: [ server, worker ] }
  policies:
    - place: { type: tosca.policies.indigo.Placement, properties: { availability_zone: z }, targets: [ all ] }
    - scale: { type: tosca.policies.Scaling, properties: { max_instances: 5 }, targets: [ worker ] }
  outputs:
    address: { value: { concat: [ "http://", { get_attribute: [ server, public_address, 0 ] }, "/" ] } }
"""
COMPOSED = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [ { template_file: base.yaml }, part.yaml ]
topology_template:
  inputs: { workers: { default: 3 } }
  node_templates:
    worker: { properties: { cpus: 4 } }
    part: { type: my.Part, properties: { number: 2 }, requirements: [ { near: frontend } ] }
    tool:
      type: tosca.nodes.SoftwareComponent
      requirements: [ { host: { node: tosca.nodes.Compute, node_filter: { properties: [ { cpus: 4 } ] } } }, { dependency: part } ]
  groups: { all: { type: tosca.groups.Root, members: [ part, worker ] } }
  policies: [ { far: { type: im.policies.Placement, targets: [ all ], properties: { placement: anti-affinity } } } ]
  outputs: { where: { value: { get_attribute: [ part, where ] } } }
"""  # noqa: E501
PART = """\
tosca_definitions_version: tosca_simple_yaml_1_3
node_types:
  my.Part:
    derived_from: tosca.nodes.Root
    properties: { number: { type: integer } }
    requirements: [ { near: { capability: tosca.capabilities.Node, occurrences: [ 0, 1 ] } } ]
topology_template:
  inputs: { number: { type: integer, default: 1 }, count: { type: integer, default: 1 } }
  substitution_mappings:
    node_type: my.Part
    properties: { number: [ count ] }
    capabilities: { feature: [ inner, feature ] }
    requirements: { near: [ inner, dependency ] }
    attributes: { address: [ machine, private_address ] }
  node_templates:
    machine: { type: tosca.nodes.Compute, capabilities: { host: { properties: { num_cpus: { get_input: count } } } } }
    inner: { type: tosca.nodes.SoftwareComponent, requirements: [ { host: machine } ] }
  outputs: { where: { value: { get_attribute: [ machine, private_address ] } } }
"""
TEXTS = {name: (data_folder("tosca_templates") / name).read_text() for name in SHIPPED} | {
    "for_im.yaml": FOR_IM,
    "composed.yaml": COMPOSED,
    "part.yaml": PART,
}
SEEDS = tuple(TEXTS)
CLOUD = Catalog(images=(Image("id", "Linux", "ubuntu", "16.04"),), flavors=(Flavor("f", "f", 64, 2**42, 2**44, 8),))
WORDS = [
    "type",
    "properties",
    "requirements",
    "host",
    "node",
    "relationship",
    "capabilities",
    "interfaces",
    "Standard",
    "configure",
    "implementation",
    "inputs",
    "default",
    "constraints",
    "in_range",
    "valid_values",
    "pattern",
    "schema",
    "derived_from",
    "get_input",
    "get_property",
    "get_attribute",
    "concat",
    "token",
    "join",
    "get_artifact",
    "SELF",
    "HOST",
    "TARGET",
    "frontend",
    "worker",
    "workers",
    "network",
    "tosca.nodes.Compute",
    "im.nodes.WorkingNode",
    "tosca.nodes.network.Port",
    "node_types",
    "topology_template",
    "imports",
    "file",
    "artifacts",
    "operations",
    "policies",
    "groups",
    "members",
    "list",
    "map",
    "range",
    "1 GB",
    "scalar-unit.size",
    "recipes/udocker",
    "tosca.artifacts.AnsibleGalaxy.role",
    "owner.nfs,v1|nfs",
    "git+https://[x,v|y",
    "../x.yml",
    "a.sh",
    "placement",
    "anti-affinity",
    "availability_zone",
    "volume_id",
    "node_filter",
    "template_file",
    "random(5)",
    "PUBLIC",
    "remote_cidr",
    "substitution_mappings",
    "directives",
    "substitute",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(), st.sampled_from(WORDS), st.text(max_size=6)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(WORDS), SCALARS), inner, max_size=3)
    ),
    max_leaves=6,
)
FUZZ = settings(
    max_examples=EXAMPLES * 2 // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)


def paths(value, path=()):
    """Yield the path of everything in a template."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


ROOTS = {name: yaml.load(text, yaml.CSafeLoader) for name, text in TEXTS.items()}


@pytest.fixture
def ends_well(tmp_path):
    """Return the check: a plan, or words of ours with a place, in time and in memory."""

    def too_long(*_):
        raise TimeoutError(f"more than {SECONDS} s of CPU")

    signal.signal(signal.SIGVTALRM, too_long)

    (tmp_path / "base.yaml").write_text(TEXTS["mpi_cluster.yaml"])
    (tmp_path / "tool.sh").write_text("true")

    def check(text, inputs, seed=""):
        path = tmp_path / "t.yaml"
        (tmp_path / "part.yaml").write_text(PART)
        path.write_text(COMPOSED)
        (tmp_path / "part.yaml" if seed == "part.yaml" else path).write_bytes(text.encode("utf-8", "surrogatepass"))
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            result = diff("fuzz", load(path, inputs), (), (), CLOUD)
        except ImError as error:
            result = error
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if isinstance(result, TemplateError):
            assert all(finding.mark.line >= 1 and finding.mark.column >= 1 for finding in result.findings)
            assert any(finding.severity == "error" for finding in result.findings)
        else:
            assert result.message if isinstance(result, ImError) else result.actions
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MEGABYTES * 1024

    return check


def written(root):
    """Return a template as YAML; libyaml takes a tenth of the time."""
    return yaml.dump(root, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def mutated(root, path, value, action):
    """Return a copy of a template with something else at ``path``."""
    result = copy.deepcopy(root)
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    if action == "remove":
        del holder[path[-1]]
    elif action == "rename" and isinstance(holder, dict):
        holder[value if isinstance(value, (str, int, bool, type(None))) else str(value)] = holder.pop(path[-1])
    else:
        holder[path[-1]] = value
    return result


@FUZZ
@given(data=st.data())
def test_a_template_with_something_else_somewhere_never_breaks_us(ends_well, data):
    name = data.draw(st.sampled_from(SEEDS))
    root = ROOTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(paths(root))[1:]
        if not places:
            break
        action = data.draw(st.sampled_from(["replace", "replace", "remove", "rename"]))
        root = mutated(root, data.draw(st.sampled_from(places)), data.draw(VALUES), action)
    inputs = data.draw(st.dictionaries(st.sampled_from(["workers", "image", "greeting", "other"]), VALUES, max_size=2))
    ends_well(written(root), inputs, name)


@FUZZ
@given(name=st.sampled_from(SEEDS), cut=st.tuples(st.integers(0, 4000), st.integers(0, 40)), put=st.text(max_size=8))
def test_a_template_with_other_characters_somewhere_never_breaks_us(ends_well, name, cut, put):
    text = TEXTS[name]
    start = cut[0] % len(text)
    ends_well(text[:start] + put + text[start + cut[1] :], {}, name)


@settings(FUZZ, max_examples=EXAMPLES // 5)
@given(body=VALUES)
def test_any_topology_at_all_never_breaks_us(ends_well, body):
    root = {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "imports": ["im/types.yaml"],
        "topology_template": body,
    }
    ends_well(written(root), {})
