"""Marks on disk tell what a node is, whoever asks and whenever."""

import json
import os

import pytest

from im.errors import InputError
from im.plan.model import NodeSpec
from im.providers.local import state
from im.providers.local.processes import Process, boot_id, identify


def spec(name="worker-1", token="t-1", infrastructure="00000001"):
    return NodeSpec(infrastructure, "worker", 1, name, token, 1, 0, "debian-12", shared=("/home",))


@pytest.fixture
def infrastructure(tmp_path):
    return state.infrastructure_folder(tmp_path, "00000001")


@pytest.fixture
def node(infrastructure):
    mark = state.new_mark(spec(), "10.77.0.2")
    folder = infrastructure.node(mark.id)
    folder.write_mark(mark)
    return folder


def status(folder, *, being_made=False):
    found = state.instance(folder, folder.mark, being_made=being_made)
    return found.status, found.message


def run(folder, process: Process):
    values = {"pid": process.pid, "start": process.start, "boot": process.boot}
    (folder.path / "run.json").write_text(json.dumps(values))


def test_a_mark_is_read_as_it_was_written(infrastructure, node):
    ((folder, mark),) = infrastructure.nodes()
    assert folder == node
    assert mark == state.new_mark(spec(), "10.77.0.2")
    assert mark.id.startswith("00000001.worker-1.")


def test_the_same_name_with_another_token_is_another_node():
    assert state.new_mark(spec(), "").id != state.new_mark(spec(token="t-2"), "").id


@pytest.mark.parametrize("name", ["", "Upper", "a_b", "../x", "-a", "x" * 64])
def test_what_cannot_be_a_host_name_is_refused(name):
    with pytest.raises(InputError, match="cannot be a host name"):
        state.new_mark(spec(name=name), "")


@pytest.mark.parametrize("infrastructure", ["", "..", "0000000g", "000000011", "00000001/.."])
def test_what_cannot_be_an_id_is_refused(tmp_path, infrastructure):
    with pytest.raises(InputError, match="cannot be the id"):
        state.infrastructure_folder(tmp_path, infrastructure)


def test_ids_that_are_not_ours_are_left_out():
    one, other = (state.new_mark(spec(infrastructure=i), "").id for i in ("00000001", "00000002"))
    assert state.by_infrastructure([one, "nova-7", other, one, "../x"]) == {"00000001": [one], "00000002": [other]}


def test_a_node_that_is_being_made_is_building(node):
    assert status(node, being_made=True) == ("building", "")


def test_a_node_whose_creation_was_interrupted_is_stopped_and_says_so(node):
    assert status(node)[0] == "stopped"
    assert "interrupted" in status(node)[1]


def test_a_node_whose_first_process_runs_is_active(node):
    run(node, identify(os.getpid()))
    assert status(node) == ("active", "")


def test_a_process_id_that_was_given_to_somebody_else_is_not_believed(node):
    run(node, Process(os.getpid(), identify(os.getpid()).start + 1, boot_id()))
    assert status(node) == ("stopped", "its init ended")


def test_after_a_restart_of_the_machine_a_node_is_stopped(node):
    run(node, Process(os.getpid(), identify(os.getpid()).start, "another boot"))
    assert status(node) == ("stopped", "the machine was restarted")


def test_a_node_that_was_stopped_on_request_says_so(node):
    node.want("stopped")
    assert status(node) == ("stopped", "stopped on request")


def test_a_node_that_could_not_start_shows_why(node):
    (node.path / "error.txt").write_text("overlay: no such device")
    assert status(node) == ("error", "overlay: no such device")
    node.forget_run()
    assert node.error == ""


def test_a_node_that_is_being_deleted_is_deleting_whatever_else(node):
    run(node, identify(os.getpid()))
    node.want("deleting")
    assert status(node) == ("deleting", "")


def test_the_console_is_its_last_part(node):
    assert node.console() == ""
    (node.path / "console.log").write_text("x" * 100 + "end")
    assert node.console(size=5) == "xxend"


def test_a_half_written_node_without_a_mark_is_not_listed(infrastructure):
    (infrastructure.path / "nodes/00000001.worker-9.00000000/upper").mkdir(parents=True)
    assert list(infrastructure.nodes()) == []


def test_shared_folders_have_names_that_cannot_leave_their_place(infrastructure):
    assert infrastructure.shared("/home").name == "home"
    assert infrastructure.shared("/data/../../etc").parent == infrastructure.path / "shared"
    assert infrastructure.shared("/").name == "root"


def test_only_folders_of_infrastructures_count(tmp_path, infrastructure):
    infrastructure.path.mkdir(parents=True)
    (tmp_path / "local/other").mkdir()
    assert state.infrastructure_folders(tmp_path) == (infrastructure,)
    assert state.infrastructure_folders(tmp_path / "none") == ()
