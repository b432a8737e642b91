"""The commands as a user types them, on a fake cloud: exact words, exact codes, results on stdout only."""

from __future__ import annotations

import json
import shutil

import pytest

from im import api, workshop
from im.cli.app import run
from im.providers.fake import FakeContextualizer, FakeProvider

TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
topology_template:
  inputs:
    count: {type: integer, default: 2}
  node_templates:
    head:
      type: tosca.nodes.Compute
      capabilities:
        endpoint: {properties: {network_name: PUBLIC}}
    crew:
      type: tosca.nodes.Compute
      capabilities:
        scalable: {properties: {min_instances: 0, max_instances: 9, default_instances: {get_input: count}}}
  outputs:
    crew: {value: {get_attribute: [crew, private_address]}}
"""


@pytest.fixture
def here(tmp_path, monkeypatch, database):
    """An empty home, a template, and a fake cloud in a file of that home."""
    monkeypatch.setenv("IM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    shutil.copy(database, tmp_path / "home")
    (tmp_path / "lab.yaml").write_text(TEMPLATE)

    def provider(self, cloud):
        made = FakeProvider(self.settings, "fake:cli")
        made.name = cloud
        return made

    monkeypatch.setattr(api.LocalManager, "_provider", provider)
    monkeypatch.setattr(workshop, "Workshop", lambda settings: FakeContextualizer(FakeProvider(settings, "fake:cli")))
    return tmp_path


def result(capsys, *words):
    """Run one command line and return its code, its stdout and its stderr."""
    code = run(words)
    output = capsys.readouterr()
    return code, output.out, output.err


def test_deploy_takes_its_name_from_the_file_and_prints_json_alone_on_stdout(here, capsys):
    code, out, err = result(capsys, "deploy", "lab.yaml", "--json")
    shown = json.loads(out)
    assert (code, shown["name"], shown["state"]) == (0, "lab", "ready")
    assert sorted(node["name"] for node in shown["nodes"]) == ["crew-1", "crew-2", "head"]
    assert "ready" in err


def test_show_json_has_what_scripts_depend_on(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    _, out, _ = result(capsys, "show", "lab", "--json")
    shown = json.loads(out)
    assert {"name", "state", "outputs", "nodes"} <= shown.keys()
    assert {"name", "group", "state", "private_address", "public_address"} <= shown["nodes"][0].keys()
    assert len(shown["outputs"]["crew"]) == 2
    assert "token" not in out


def test_a_second_deploy_changes_nothing(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    assert json.loads(result(capsys, "plan", "lab.yaml", "--name", "lab", "--json")[1])["changes"] == []
    assert result(capsys, "deploy", "lab.yaml")[0] == 0


def test_plan_says_what_would_be_created_before_anything_is(here, capsys):
    code, out, _ = result(capsys, "plan", "lab.yaml", "--name", "x", "--input", "count=3", "--json")
    changes = json.loads(out)["changes"]
    assert code == 0
    assert [change["kind"] for change in changes] == ["create"] * 4
    assert result(capsys, "list")[1] == ""


def test_a_bad_template_creates_nothing_and_exits_with_two(here, capsys):
    (here / "bad.yaml").write_text(TEMPLATE.replace("tosca.nodes.Compute", "tosca.nodes.Compude"))
    code, out, err = result(capsys, "deploy", "bad.yaml")
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if line.startswith("bad.yaml:")]
    assert [line.split(": ")[0] for line in lines] == ["bad.yaml:7:13", "bad.yaml:11:13"]
    assert all(" error " in line for line in lines)
    assert result(capsys, "list")[1] == ""


def test_a_template_that_is_not_there_is_bad_input(here, capsys):
    assert result(capsys, "validate", "nowhere.yaml")[0] == 2


def test_scale_changes_a_group_and_says_so(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    code, out, _ = result(capsys, "scale", "lab", "crew=3", "--json")
    assert (code, len(json.loads(out)["nodes"])) == (0, 4)


@pytest.mark.parametrize("word", ["crew", "crew=many", "=3", "crew=-1"])
def test_scale_refuses_what_is_not_a_count(here, capsys, word):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    assert result(capsys, "scale", "lab", word)[0] == 2


def test_delete_leaves_nothing_and_the_name_is_unknown_then(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    assert result(capsys, "delete", "lab", "--yes")[:2] == (0, "lab: deleted\n")
    assert result(capsys, "show", "lab")[0] == 2


def test_delete_and_providers_tell_scripts_what_came_of_it(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    assert json.loads(result(capsys, "delete", "lab", "--yes", "--json")[1]) == {"name": "lab", "state": "deleted"}
    assert json.loads(result(capsys, "providers", "--json")[1]) == ["local", "occi", "openstack"]


def test_events_are_told_oldest_first_and_as_json_lines(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    _, out, _ = result(capsys, "events", "lab", "--json")
    numbers = [json.loads(line)["seq"] for line in out.splitlines()]
    assert numbers == sorted(numbers)
    assert len(numbers) > 5


def test_why_of_what_is_ready_says_so(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    assert "ready" in result(capsys, "why", "lab")[1]


def test_gc_deletes_what_has_outlived_its_time(here, capsys):
    run(["deploy", "lab.yaml", "--ttl", "0s"])
    capsys.readouterr()
    assert "lab" in result(capsys, "gc")[1]
    assert result(capsys, "list")[1] == ""


@pytest.mark.parametrize("ttl", ["soon", "8", "h", "-1h"])
def test_a_lifetime_that_cannot_be_read_is_bad_input(here, capsys, ttl):
    assert result(capsys, "deploy", "lab.yaml", "--ttl", ttl)[0] == 2


def test_stop_and_start_go_there_and_back(here, capsys):
    run(["deploy", "lab.yaml"])
    capsys.readouterr()
    assert json.loads(result(capsys, "stop", "lab", "--json")[1])["state"] == "stopped"
    assert json.loads(result(capsys, "start", "lab", "--json")[1])["state"] == "ready"
    assert json.loads(result(capsys, "restart", "lab", "--json")[1])["state"] == "ready"


def test_deploy_until_provisioned_prints_the_nodes_and_ends_well(here, capsys):
    code, out, _ = result(capsys, "deploy", "lab.yaml", "--until", "provisioned")
    assert code == 0
    assert out.startswith("lab: provisioned on local")
    assert "crew-2" in out
    assert "log in" not in out
    code, out, _ = result(capsys, "scale", "lab", "crew=3", "--json")
    assert (code, json.loads(out)["state"]) == (0, "provisioned")
