"""A template may be written over another one, and its random inputs stay what they are."""

# ruff: noqa: E501 - templates are quoted as they are

from __future__ import annotations

import pytest

from im.errors import TemplateError
from im.sources.load import Reading, load

VERSION = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
BASE = f"""{VERSION}imports: [ im/types.yaml ]
description: The base.
topology_template:
  inputs:
    cpus: {{ type: integer, default: 2, constraints: [ in_range: [ 1, 8 ] ] }}
  node_templates:
    f:
      type: im.nodes.FrontEnd
      properties: {{ cpus: {{ get_input: cpus }}, memory: 1 GB }}
      requirements: [ {{ network: inside }} ]
    inside: {{ type: im.nodes.Network }}
    gone: {{ type: im.nodes.Network }}
"""


@pytest.fixture
def over(tmp_path):
    """Return a function from what is written over the base to the topology."""

    def build(text, base=BASE):
        (tmp_path / "base.yaml").write_text(base)
        (tmp_path / "t.yaml").write_text(f"{VERSION}imports: [ {{ template_file: base.yaml }} ]\n{text}")
        return load(tmp_path / "t.yaml", {})

    return build


def test_a_template_that_adds_nothing_is_its_base(over):
    topology = over("")
    assert (topology.description, topology.front_end.hardware.cpus) == ("The base.", 2)
    assert topology.warnings == ()


def test_what_the_template_says_counts_and_the_rest_stays(over):
    topology = over(
        "topology_template:\n"
        "  inputs: { cpus: { default: 4 } }\n"
        "  node_templates:\n"
        "    f: { properties: { memory: 2 GB }, requirements: [ { network: outside } ] }\n"
        "    outside: { type: im.nodes.Network, properties: { public: true } }\n"
        "    w: { type: im.nodes.WorkingNode }\n"
    )
    assert [group.name for group in topology.groups] == ["f", "w"]
    front = topology.front_end
    assert (front.hardware.cpus, front.hardware.memory, front.networks) == (4, 2_000_000_000, ("outside",))


def test_a_node_of_another_type_takes_nothing_from_the_base(over):
    topology = over("topology_template: { node_templates: { gone: { type: im.nodes.WorkingNode } } }\n")
    assert [group.name for group in topology.groups] == ["f", "gone"]


def test_a_base_may_have_a_base(over, tmp_path):
    middle = f"{VERSION}imports: [ {{ template_file: first.yaml }} ]\ntopology_template: {{ inputs: {{ cpus: {{ default: 3 }} }} }}\n"
    (tmp_path / "first.yaml").write_text(BASE)
    assert over("", middle).front_end.hardware.cpus == 3


def test_a_mistake_in_a_base_is_found_there(over, tmp_path):
    with pytest.raises(TemplateError) as caught:
        over("", BASE.replace("memory: 1 GB", "memry: 1 GB"))
    assert [str(finding.mark) for finding in caught.value.findings] == [f"{tmp_path}/base.yaml:10:48"]


def test_the_topology_of_an_ordinary_import_is_said_to_be_unused(tmp_path):
    (tmp_path / "other.yaml").write_text(BASE)
    (tmp_path / "t.yaml").write_text(
        f"{VERSION}imports: [ other.yaml ]\ntopology_template: {{ node_templates: {{ f: {{ type: im.nodes.FrontEnd }} }} }}\n"
    )
    assert [warning.message.partition("'")[0] for warning in load(tmp_path / "t.yaml", {}).warnings] == [
        "the topology of "
    ]


RANDOM = f"{VERSION}topology_template:\n  inputs: {{ word: {{ type: string, default: random(12) }}, other: {{ type: string, default: random( 12 ) }} }}\n"


def test_a_random_input_keeps_its_word(tmp_path):
    (tmp_path / "t.yaml").write_text(RANDOM)
    first, second = (load(tmp_path / "t.yaml", {}, Reading(home=tmp_path / "home")).inputs for _ in range(2))
    assert first == second
    assert (len(first["word"]), first["word"].isalnum(), first["word"] != first["other"]) == (12, True, True)
    assert load(tmp_path / "t.yaml", {}, Reading(home=tmp_path / "else")).inputs != first
    assert (tmp_path / "home" / "templates" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_random_input_that_is_given_is_what_was_given(tmp_path):
    (tmp_path / "t.yaml").write_text(RANDOM)
    topology = load(tmp_path / "t.yaml", {"word": "mine"}, Reading(home=tmp_path / "home"))
    assert topology.inputs["word"] == "mine"
    assert topology.input_definitions[0].default == "random(12)"


def test_a_token_that_only_im_has_must_be_given(tmp_path):
    (tmp_path / "t.yaml").write_text(RANDOM.replace("random(12)", "access_token()"))
    with pytest.raises(TemplateError, match="give it with --input word=TOKEN"):
        load(tmp_path / "t.yaml", {})
