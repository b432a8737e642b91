"""Which nodes have to be started, whatever a killed helper left of them."""

import json
import shutil
import subprocess
from dataclasses import asdict

import pytest

from im.plan.model import NodeSpec
from im.providers.local import nodes, state
from im.providers.local.processes import identify


@pytest.fixture
def init(tmp_path):
    """A program by the name of a node's init."""
    return shutil.copy("/bin/sleep", tmp_path / "tini")


@pytest.fixture
def node(tmp_path):
    mark = state.new_mark(NodeSpec("00000001", "worker", 1, "worker-1", "t", 1, 0, "debian-12"), "10.77.0.2")
    folder = state.infrastructure_folder(tmp_path, "00000001").node(mark.id)
    folder.write_mark(mark)
    return folder, mark


@pytest.fixture
def first_process(node):
    """Give the node a first process; it ends with the test."""
    children = []

    def begin(*command):
        children.append(subprocess.Popen(command))
        (node[0].path / "run.json").write_text(json.dumps(asdict(identify(children[-1].pid))))

    yield begin
    for child in children:
        child.kill()
        child.wait()


def test_a_node_without_a_process_is_idle(node):
    assert nodes.idle([node]) == [node]


def test_a_node_whose_init_runs_is_not_idle(node, init, first_process):
    first_process(init, "60")
    assert nodes.idle([node]) == []


def test_a_first_process_that_has_yet_to_become_the_init_is_waited_for(node, init, first_process):
    first_process("sh", "-c", f"sleep 0.3; exec {init} 60")
    assert nodes.idle([node]) == []
    assert node[0].process.program() == "tini"


def test_a_first_process_that_ends_instead_leaves_the_node_idle(node, first_process):
    first_process("sleep", "0.3")
    assert nodes.idle([node]) == [node]


def test_a_first_process_that_never_becomes_the_init_leaves_the_node_idle(node, first_process, monkeypatch):
    monkeypatch.setattr(nodes, "_PATIENCE", 0.2)
    first_process("sleep", "60")
    assert nodes.idle([node]) == [node]
