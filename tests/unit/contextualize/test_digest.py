from dataclasses import replace

import pytest

from im.contextualize.configure import digest
from im.contextualize.digest import files_digest
from im.errors import ContextualizationError


@pytest.fixture
def both(topology, software):
    return topology(software("a", "openmpi", "front"), software("b", "openmpi"))


def test_nothing_changed_gives_the_same_digest(cluster, both):
    assert digest(cluster, both) == digest(replace(cluster), replace(both))


@pytest.mark.parametrize(
    "change",
    [{"user": "alice"}, {"shared": ()}, {"variables": {"im_shared_cores": True}}, {"engines": ("docker",)}],
    ids=lambda change: next(iter(change)),
)
def test_what_the_recipes_see_changes_the_digest(cluster, both, change):
    assert digest(replace(cluster, **change), both) != digest(cluster, both)


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"private_address": "10.0.0.9"}, {"slots": 7}, {"host_public_key": "ssh-ed25519 BBBB"}],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_a_member_changes_the_digest(cluster, both, change):
    nodes = (*cluster.nodes[:2], replace(cluster.nodes[2], **change))
    assert digest(replace(cluster, nodes=nodes), both) != digest(cluster, both)


def test_a_node_more_or_less_changes_the_digest(cluster, both):
    assert digest(replace(cluster, nodes=cluster.nodes[:2]), both) != digest(cluster, both)


@pytest.mark.parametrize("change", [{"state": "ready"}, {"message": "x"}, {"configured": "abc"}, {"token": "t"}])
def test_the_state_of_a_node_does_not(cluster, both, change):
    nodes = tuple(replace(node, **change) for node in cluster.nodes)
    assert digest(replace(cluster, nodes=nodes), both) == digest(cluster, both)


def test_other_inputs_or_software_change_the_digest(cluster, topology, software):
    found = {
        digest(cluster, topology()),
        digest(cluster, topology(software("a", "udocker"))),
        digest(cluster, topology(software("a", "udocker", modes="P2"))),
        digest(cluster, topology(software("a", "udocker", level=1), software("b", "openmpi"))),
    }
    assert len(found) == 4


def test_an_edited_script_of_the_template_changes_the_digest(cluster, topology, software, tmp_path):
    script = tmp_path / "install.sh"
    script.write_text("one")
    before = digest(cluster, topology(software("s", script)))
    script.write_text("two")
    assert digest(cluster, topology(software("s", script))) != before


def test_an_edited_role_of_the_template_changes_the_digest(cluster, topology, tmp_path):
    (tmp_path / "tasks").mkdir()
    with_role = replace(topology(), roles={"owner.nfs": str(tmp_path), "owner.none": ""})
    before = digest(cluster, with_role)
    (tmp_path / "tasks" / "main.yml").write_text("[]")
    assert digest(cluster, with_role) != before


def test_a_file_of_the_template_that_is_gone_is_named(cluster, topology):
    with pytest.raises(ContextualizationError, match="/gone: cannot be read"):
        digest(cluster, replace(topology(), roles={"owner.nfs": "/gone"}))


def test_files_count_by_name_and_content_below_what_was_given(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "role" / "tasks").mkdir(parents=True)
        (tmp_path / folder / "role" / "tasks" / "main.yml").write_text("same")
    assert files_digest([tmp_path / "a" / "role"]) == files_digest([tmp_path / "b" / "role"])
    (tmp_path / "b" / "role" / "tasks" / "main.yml").rename(tmp_path / "b" / "role" / "tasks" / "other.yml")
    assert files_digest([tmp_path / "a" / "role"]) != files_digest([tmp_path / "b" / "role"])


def test_what_python_leaves_beside_a_recipes_programs_does_not_count(tmp_path):
    (tmp_path / "program.py").write_text("pass")
    before = files_digest([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "program.pyc").write_text("made")
    assert files_digest([tmp_path]) == before


@pytest.mark.parametrize("role", ["nothing", "..", "base/tasks"])
def test_an_unknown_recipe_is_named_with_those_that_exist(cluster, topology, software, role):
    operation = replace(software("a", "openmpi").operations[0], implementation=role)
    with pytest.raises(ContextualizationError, match="no such recipe") as caught:
        digest(cluster, topology(replace(software("a", "openmpi"), operations=(operation,))))
    assert "openmpi" in caught.value.hint
