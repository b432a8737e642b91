"""The cache changes how long reading takes, and nothing else."""

from __future__ import annotations

import json
import shutil

import pytest

from im.data_files import data_folder
from im.errors import TemplateError
from im.sources import codec
from im.sources import load as loading
from im.sources.codec import decode_document, decode_topology, encode_document, encode_topology
from im.sources.load import load
from im.topology import library
from im.topology.reader import parse


@pytest.fixture
def template(tmp_path):
    """A template with a playbook, in a folder of its own."""
    return (
        shutil.copytree(data_folder("tosca_templates") / "examples" / "own_playbook", tmp_path / "own") / "cluster.yaml"
    )


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def builds(monkeypatch):
    """Count how often a topology is really built."""
    calls = []
    real = loading.build

    def build(*arguments, **options):
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(loading, "build", build)
    return calls


def test_the_same_template_with_the_same_inputs_is_built_once(template, cache, builds):
    first = load(template, {"workers": 2}, cache=cache)
    assert load(template, {"workers": 2}, cache=cache) == first
    assert len(builds) == 1


@pytest.mark.parametrize("change", ["template", "import", "inputs", "import map"])
def test_every_change_of_what_it_is_made_of_builds_anew(template, cache, builds, change, tmp_path):
    load(template, {"workers": 2}, cache=cache)
    inputs, options = {"workers": 2}, {}
    if change == "template":
        template.write_text(template.read_text().replace("default: Welcome", "default: Hello"))
    if change == "import":
        types = template.parent / "types.yaml"
        types.write_text(types.read_text().replace("welcome_text", "text"))
    if change == "inputs":
        inputs["workers"] = 3
    if change == "import map":
        options["import_map"] = {"https://example.org": tmp_path}
    topology = load(template, inputs, cache=cache, **options)
    assert len(builds) == 2
    if change == "import":
        assert "text" in topology.software[0].operations[0].inputs
    if change == "inputs":
        assert topology.group("worker").count == 3


def test_a_playbook_that_is_gone_is_found_in_spite_of_the_cache(template, cache):
    load(template, {}, cache=cache)
    (template.parent / "welcome.yml").unlink()
    with pytest.raises(TemplateError, match="there is no file"):
        load(template, {}, cache=cache)


def test_errors_are_never_kept(template, cache):
    for _ in range(2):
        with pytest.raises(TemplateError, match="has no input 'nothing'"):
            load(template, {"nothing": 1}, cache=cache)


def test_imports_are_parsed_once_for_all_templates(template, cache, monkeypatch):
    load(template, {"workers": 1}, cache=cache)
    parsed = []
    monkeypatch.setattr("im.sources.read.parse", lambda text, name: parsed.append(name) or parse(text, name))
    load(template, {"workers": 2}, cache=cache)
    assert parsed == [str(template)]


def test_tosca_parser_is_not_asked_twice_the_same(template, cache, monkeypatch):
    load(template, {}, cache=cache)
    template.write_text(template.read_text() + "\n# a remark\n")
    monkeypatch.setattr(library, "judge", lambda asked: pytest.fail("asked again"))
    load(template, {}, cache=cache)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"root": [[1, 1], 5], "findings": []}', '{"topology": {}, "sources": {"files": []}}'],
)
def test_a_damaged_cache_is_as_good_as_none(template, cache, content):
    first = load(template, {}, cache=cache)
    for file in cache.glob("*.json"):
        file.write_text(content)
    assert load(template, {}, cache=cache) == first


def test_a_cache_that_cannot_be_written_is_left_out(template, tmp_path):
    (tmp_path / "file").write_text("")
    assert load(template, {}, cache=tmp_path / "file" / "cache").groups


def test_the_cache_is_for_its_owner_only_and_holds_only_json(template, cache):
    load(template, {}, cache=cache)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert all(json.loads(file.read_text()) for file in cache.iterdir())


def test_a_document_survives_the_cache_with_all_its_places():
    text = "node_types:\n  a: { b: [ 1, 2.50, yes, ~ ], 5: x }\n  c: text\n  d:\nother: { x: [ { y: z } ] }\n"
    value, found = parse(text, "f")
    again, found_again = decode_document(json.loads(json.dumps(encode_document(value, found))), "g")
    assert isinstance(again["node_types"], codec.LazyMap)
    assert dict(again["node_types"].items()) == dict(value["node_types"])
    assert again["node_types"]["c"] == again["node_types"].get("c") == "text"
    assert again["node_types"].get("nothing") is None
    assert again["node_types"]["a"]["b"][1].text == "2.50"
    assert str(again["node_types"]["a"]["b"].value_mark(3)) == "g:2:27"
    assert again["other"] == value["other"]
    assert found_again == found


def test_a_topology_survives_the_cache(template):
    topology = load(template, {})
    assert decode_topology(json.loads(json.dumps(encode_topology(topology)))) == topology
