"""YAML texts keep their places, and no text can exhaust the machine."""

from __future__ import annotations

import time

import pytest

from im.topology.document import Float, Map, Seq
from im.topology.reader import MAX_DEPTH, MAX_VALUES, parse


def value(text):
    result, found = parse(text, "f")
    assert found == ()
    return result


def only_finding(text):
    _, found = parse(text, "f")
    assert len(found) == 1
    return str(found[0])


def test_each_key_and_value_knows_its_line_and_column():
    root = value("a: 1\nb:\n  - x\n  - c: y\n")
    assert isinstance(root, Map)
    assert str(root.key_mark("b")) == "f:2:1"
    assert str(root.value_mark("a")) == "f:1:4"
    items = root["b"]
    assert isinstance(items, Seq)
    assert str(items.value_mark(1)) == "f:4:5"
    assert str(items[1].value_mark("c")) == "f:4:8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True),
        ("No", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0x1f", 31),
        ("0755", 493),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("1e3", "1e3"),
        ("'12'", "12"),
        ('"yes"', "yes"),
        ("!!str 12", "12"),
        ("9" * 5000, "9" * 5000),
        ("tosca.nodes.Compute", "tosca.nodes.Compute"),
    ],
)
def test_plain_values_mean_what_they_look_like(text, expected):
    result = value(f"a: {text}\n")["a"]
    assert result == expected
    assert type(result) is type(expected) or isinstance(result, Float)


def test_a_decimal_number_remembers_how_it_was_written():
    assert value("a: 22.10")["a"].text == "22.10"


def test_aliases_and_merged_mappings_are_followed():
    root = value("base: &b { x: 1, y: 2 }\nuse:\n  <<: *b\n  y: 3\nlist: { <<: [ *b, { z: 4 } ] }\n")
    assert root["use"] == {"x": 1, "y": 3}
    assert root["list"] == {"x": 1, "y": 2, "z": 4}
    assert str(root["use"].key_mark("x")) == "f:1:12"


def test_a_key_twice_in_metadata_is_only_doubtful():
    _, found = parse("metadata:\n  a: 1\n  a: 2\n", "f")
    assert [(finding.severity, finding.code) for finding in found] == [("warning", "duplicate-key")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: !!python/object/apply:os.system [ id ]", "f:1:4: error yaml: the tag"),
        ("a: !secret x", "f:1:4: error yaml: the tag '!secret' has no meaning"),
        ("{ [a]: b }", "f:1:3: error yaml: a key must be one plain value"),
        ("a: *b", "f:1:4: error alias: there is no anchor &b"),
        ("a: &a { b: *a }", "f:1:12: error alias: the alias *a contains itself"),
        ("a: 1\n---\nb: 2\n", "f:2:1: error yaml: the file holds more than one YAML document"),
        ("a: \x07", "f:1:1: error yaml: this is not YAML"),
        ("a: { <<: 1 }", "f:1:10: error yaml: '<<' takes a mapping"),
    ],
)
def test_what_tosca_has_no_use_for_is_found(text, line):
    assert only_finding(text).startswith(line)


@pytest.mark.parametrize(
    "text",
    ["[" * 1_000_000, "{a: " * 250_000, "- " * 500_000, "? " * 500_000, "a: " + "[" * 1_000_000],
    ids=["lists", "mappings", "items", "keys", "value"],
)
def test_a_megabyte_of_nesting_is_refused_at_once(text):
    started = time.process_time()
    assert f"error too-deep: more than {MAX_DEPTH} levels inside each other" in only_finding(text)
    assert time.process_time() - started < 1


def test_aliases_that_expand_without_end_are_refused_at_once():
    laughs = ["l0: &l0 [ lol, lol ]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 40)]
    started = time.process_time()
    assert f"more than {MAX_VALUES:,} values" in only_finding("\n".join(laughs))
    assert time.process_time() - started < 1
