"""`im_client template`: make templates, look at them, compare and tidy them."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from im.cli.app import run
from im.data_files import data_folder
from im.sources.load import load

MPI = str(data_folder("tosca_templates") / "mpi_cluster.yaml")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("IM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def im(here, capsys):
    """Return a function from the words after `template` to code, stdout and stderr."""

    def call(*words):
        code = run(["template", *words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def test_the_shipped_templates_are_listed(im):
    code, out, _ = im("new")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]][:2] == ["data_cluster", "docker_cluster"]


def test_a_new_template_has_the_answers_as_defaults_and_keeps_all_else(im, here):
    code, out, err = im("new", "mpi_cluster", "-o", "lab.yaml", "-i", "workers=8", "-i", "image=24.10", "--yes")
    assert (code, out, err) == (0, "", "lab.yaml written; next: im_client validate lab.yaml\n")
    old, new = (
        (here / "lab.yaml").read_text().splitlines(),
        (data_folder("tosca_templates") / "mpi_cluster.yaml").read_text().splitlines(),
    )
    assert [(a, b) for a, b in zip(new, old, strict=True) if a != b] == [
        ("      default: 2", "      default: 8"),
        ('      default: ""', '      default: "24.10"'),
    ]
    assert load(here / "lab.yaml", {}).group("worker").count == 8


def test_what_is_not_given_is_asked_for(im, here, monkeypatch):
    answers = iter(["5", "", "", "", "", "debian"])
    monkeypatch.setattr("click.prompt", lambda words, default, err: next(answers) or default)
    assert im("new", "mpi_cluster", "-o", "lab.yaml")[0] == 0
    topology = load(here / "lab.yaml", {})
    assert (topology.group("worker").count, topology.front_end.os.image) == (5, "debian")


def test_an_answer_that_the_template_refuses_is_asked_for_again(im, here, monkeypatch):
    answers = iter(["-1", "many", "7", "", "", "", "", ""])
    monkeypatch.setattr("click.prompt", lambda words, default, err: next(answers) or default)
    code, _, err = im("new", "mpi_cluster", "-o", "lab.yaml")
    assert code == 0
    assert err.splitlines()[:2] == [
        "the input 'workers' is -1, but must be in the range 0, 1000",
        "the input 'workers' must be an integer, not 'many'",
    ]
    assert load(here / "lab.yaml", {}).group("worker").count == 7


def test_an_answer_that_the_template_refuses_writes_nothing(im, here):
    code, _, err = im("new", "mpi_cluster", "-i", "workers=-1", "--yes")
    assert code == 2
    assert "the input 'workers' is -1, but must be in the range 0, 1000" in err
    assert list(here.glob("*.yaml")) == []


def test_an_example_brings_its_files_along(im, here):
    assert im("new", "own_playbook", "-o", "mine/lab.yaml", "--yes")[0] == 0
    assert (here / "mine" / "welcome.yml").is_file()
    assert load(here / "mine" / "lab.yaml", {}).groups


def test_nothing_is_ever_written_over(im, here):
    (here / "lab.yaml").write_text("mine")
    assert im("new", "mpi_cluster", "-o", "lab.yaml", "--yes")[0] == 2
    assert (here / "lab.yaml").read_text() == "mine"


def test_the_picture_shows_machines_above_what_joins_them(im):
    code, out, _ = im("show", MPI)
    assert code == 0
    assert out.splitlines()[:9] == [
        "         ┌ frontend ───────────┐   ┌ worker x 2 ─────────┐",
        "         │ front-end           │   │ 2 CPUs, 1 GB memory │",
        "         │ 2 CPUs, 1 GB memory │   │ + worker_openmpi    │",
        "         │ + frontend_openmpi  │   │ + worker_udocker    │",
        "         │ + frontend_udocker  │   │                     │",
        "         └──────────┬──────────┘   └──────────┬──────────┘",
        "private  ───────────●─────────────────────────●──────────── private",
        "public   ───────────●─────────────────────────┼──────────── public",
        "/home    ───────────●─────────────────────────●──────────── shared",
    ]
    assert "            0. frontend_udocker (im.nodes.Udocker): configure udocker" in out.splitlines()


def test_the_svg_is_well_formed_and_shows_names_as_they_are(im, here):
    (here / "t.yaml").write_text(
        "tosca_definitions_version: tosca_simple_yaml_1_3\n"
        'topology_template: { node_templates: { "<b>&": { type: tosca.nodes.Compute } } }\n'
    )
    assert im("show", "t.yaml", "--svg", "t.svg")[:2] == (0, "")
    texts = [item.text for item in ET.parse(here / "t.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "<b>&"


def test_diff_says_what_is_meant_otherwise_and_not_how_it_is_written(im, here):
    text = (data_folder("tosca_templates") / "mpi_cluster.yaml").read_text()
    (here / "same.yaml").write_text("# a remark\n" + text.replace("tosca_definitions", "tosca_definitions"))
    (here / "other.yaml").write_text(
        text.replace("memory: { get_input: worker_memory }", "memory: 3 GB").replace("  worker_openmpi:", "  mpi:")
    )
    assert im("diff", MPI, "same.yaml") == (0, "", "")
    code, out, _ = im("diff", MPI, "other.yaml")
    assert (code, out.splitlines()) == (
        1,
        ["~ machines worker hardware memory: 1 GB -> 3 GB", "- software worker_openmpi", "+ software mpi"],
    )


def test_fmt_says_that_a_file_is_no_yaml(im, here):
    (here / "t.yaml").write_text("a: [\n")
    code, _, err = im("fmt", "t.yaml")
    assert (code, err.partition(":")[0]) == (2, "t.yaml")
    assert "this is not YAML" in err


def test_fmt_checks_or_changes_and_names_what_is_not_in_the_style(im, here):
    path = here / "t.yaml"
    path.write_text("topology_template:\n    inputs:\n        a: {type: string}\ntosca_definitions_version: x\n")
    assert im("fmt", "--check", "t.yaml", MPI) == (1, "t.yaml\n", "")
    assert im("fmt", "t.yaml") == (0, "t.yaml\n", "")
    assert path.read_text() == "tosca_definitions_version: x\n\ntopology_template:\n  inputs:\n    a: {type: string}\n"
    assert im("fmt", "--check", "t.yaml") == (0, "", "")


def test_types_are_listed_and_explained(im):
    _, out, _ = im("types")
    assert {"im.nodes.FrontEnd", "im.nodes.Volume"} <= {line.split()[0] for line in out.splitlines()}
    assert "\ntosca.nodes.Compute " not in out
    assert "\ntosca.nodes.Compute " in im("types", "--all")[1]
    code, out, _ = im("types", "im.nodes.WorkingNode")
    assert code == 0
    assert out.startswith("im.nodes.WorkingNode < im.nodes.Machine < tosca.nodes.Compute < tosca.nodes.Root\n")
    assert "count              integer                        1        >= 0" in out
    shown = json.loads(im("types", "Compute", "--json")[1])
    assert shown["requirements"]["local_storage"] == "tosca.nodes.BlockStorage"


def test_an_unknown_type_has_a_suggestion(im):
    code, _, err = im("types", "im.nodes.FrontEn")
    assert (code, err) == (
        2,
        "error input: there is no node type 'im.nodes.FrontEn'\n  next: did you mean 'im.nodes.FrontEnd'?\n",
    )


def test_inputs_are_a_table_or_a_json_schema(im):
    code, out, _ = im("inputs", MPI)
    assert (code, out.splitlines()[1]) == (
        0,
        "workers          integer           2        0 to 1000   Number of working nodes",
    )
    schema = json.loads(im("inputs", MPI, "--schema")[1])
    assert schema["properties"]["workers"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 1000,
        "description": "Number of working nodes",
        "default": 2,
    }


def test_validate_in_ims_dialect_shows_what_was_understood(here, capsys):
    assert run(["validate", MPI, "--dialect", "im"]) == 0
    assert "frontend: front-end, 1 machine, public (im.nodes.FrontEnd)" in capsys.readouterr().out.splitlines()
