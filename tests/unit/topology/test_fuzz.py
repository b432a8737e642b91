"""Whatever a template looks like, it ends in a topology or in findings with a place."""

from __future__ import annotations

import copy

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from im.data_files import data_folder
from im.errors import TemplateError
from im.sources.load import load
from im.topology.model import Topology

SEEDS = ("mpi_cluster.yaml", "docker_cluster.yaml", "examples/own_playbook/cluster.yaml")
TEXTS = {name: (data_folder("tosca_templates") / name).read_text() for name in SEEDS}
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
    "../x.yml",
    "a.sh",
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
    max_examples=100,
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
    """Return the check: a topology, or findings that name the file or one of its imports."""

    def check(text, inputs):
        path = tmp_path / "t.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            result = load(path, inputs)
        except TemplateError as error:
            result = error
        if isinstance(result, TemplateError):
            assert all(finding.mark.line >= 1 and finding.mark.column >= 1 for finding in result.findings)
            assert any(finding.severity == "error" for finding in result.findings)
        else:
            assert isinstance(result, Topology)

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
    ends_well(written(root), inputs)


@FUZZ
@given(name=st.sampled_from(SEEDS), cut=st.tuples(st.integers(0, 4000), st.integers(0, 40)), put=st.text(max_size=8))
def test_a_template_with_other_characters_somewhere_never_breaks_us(ends_well, name, cut, put):
    text = TEXTS[name]
    start = cut[0] % len(text)
    ends_well(text[:start] + put + text[start + cut[1] :], {})


@FUZZ
@given(body=VALUES)
def test_any_topology_at_all_never_breaks_us(ends_well, body):
    root = {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "imports": ["im/types.yaml"],
        "topology_template": body,
    }
    ends_well(written(root), {})
