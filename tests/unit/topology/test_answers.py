"""Answers become defaults in the text of a template; nothing else in it changes."""

from __future__ import annotations

import pytest

from im.errors import InputError
from im.topology.answers import with_answers
from im.topology.reader import parse

TEXT = """\
topology_template:
  inputs:
    plain: { type: integer, default: 2 }  # how many
    quoted: { default: "a, }b", type: string }
    block:
      type: string
      default: some words, and more   # a remark
    long:
      default: >
        folded
    whole: { default: [ 1 ] }
"""


@pytest.mark.parametrize(
    ("answers", "old", "new"),
    [
        ({"plain": 16}, "default: 2 }", "default: 16 }"),
        ({"quoted": "c"}, 'default: "a, }b"', "default: c"),
        ({"quoted": "x: {y}"}, 'default: "a, }b"', 'default: "x: {y}"'),
        ({"quoted": 5}, 'default: "a, }b"', 'default: "5"'),
        ({"block": "no"}, "default: some words, and more   #", 'default: "no"   #'),
        ({"block": "other words"}, "default: some words, and more   #", "default: other words   #"),
    ],
)
def test_an_answer_stands_where_the_default_stood(answers, old, new):
    text = with_answers(TEXT, answers)
    assert text == TEXT.replace(old, new)
    inputs = parse(text, "")[0]["topology_template"]["inputs"]
    assert {name: str(inputs[name]["default"]) for name in answers} == {k: str(v) for k, v in answers.items()}


@pytest.mark.parametrize("name", ["long", "whole", "none"])
def test_a_default_that_is_not_one_value_on_one_line_stays(name):
    with pytest.raises(InputError, match=f"the default of the input '{name}'"):
        with_answers(TEXT, {name: "x"})
