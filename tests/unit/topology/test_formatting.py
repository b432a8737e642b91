"""Templates are brought into one style; their comments and their meaning stay."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from im.data_files import data_folder
from im.topology.formatting import formatted
from im.topology.reader import parse

UNTIDY = """\
# head
tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
    node_templates:
        # about a
        a:\x20\x20\x20
            type: x   # why x
            requirements:
            -   host: b
                # deep
                node: c
            - dependency:
                node: d
            text: |
                one
                   two

                three\x20\x20
            flow: { a: 1,
                 b: 2 }



        b: {type: y}
# for imports
imports:
- a.yaml
# the end
"""
TIDY = """\
# head
tosca_definitions_version: tosca_simple_yaml_1_3

# for imports
imports:
  - a.yaml

topology_template:
  node_templates:
    # about a
    a:
      type: x   # why x
      requirements:
        - host: b
          # deep
          node: c
        - dependency:
            node: d
      text: |
          one
             two

          three\x20\x20
      flow: { a: 1,
           b: 2 }

    b: {type: y}

# the end
"""


def test_levels_sections_and_blank_lines_are_in_order_and_comments_stay_where_they_belong():
    assert formatted(UNTIDY) == TIDY
    assert formatted(TIDY) == TIDY


@pytest.mark.parametrize("text", ["a: [\n", "- a\n", "text\n", "", "a: 1\na: 2\n", "a: b\n---\nc: d\n"])
def test_what_is_no_template_stays_as_it_is(text):
    assert formatted(text) == text


@pytest.mark.parametrize("path", sorted(data_folder("tosca_templates").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_templates_are_in_the_style(path):
    assert formatted(path.read_text()) == path.read_text()


VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text("ab \n#:'\"", max_size=8)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=20, deadline=None)
@given(value=st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES, max_size=4), indent=st.integers(2, 7))
def test_no_text_changes_its_meaning_and_twice_is_once(value, indent):
    text = yaml.safe_dump(value, indent=indent, sort_keys=False)
    once = formatted(text)
    assert parse(once, "")[0] == parse(text, "")[0]
    assert formatted(once) == once
