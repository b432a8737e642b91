import pytest
import yaml

from im.contextualize.configure import evaluated_inputs
from im.contextualize.playbook import site, steps
from im.errors import ContextualizationError


@pytest.fixture
def plan(cluster):
    def make(topology):
        return site(steps(topology, evaluated_inputs(cluster, topology)))

    return make


def outline(found) -> list[tuple[str, str]]:
    return [(play.get("hosts", "import"), play["name"]) for play in found.plays]


def test_base_comes_first_on_all_nodes(plan, topology):
    assert outline(plan(topology())) == [("all", "base"), ("all", "base")]
    assert plan(topology()).plays[1]["tasks"] == [part("packages")]


def part(name: str) -> dict[str, object]:
    return {"ansible.builtin.import_role": {"name": "base", "tasks_from": name}}


def test_volumes_are_mounted_before_anything_is_written():
    assert site((), volumes=True).plays[0]["tasks"] == [part("volumes")]
    assert part("volumes") not in [play.get("tasks", [None])[0] for play in site(()).plays]


def test_what_needs_no_packages_runs_before_they_are_waited_for(plan, topology, software):
    found = plan(topology(software("a", "openmpi"), software("b", "udocker")))
    assert [name for _, name in outline(found)] == ["base", "udocker", "base", "openmpi"]


def test_what_needs_no_packages_but_other_software_waits_for_it(plan, topology, software):
    found = plan(topology(software("a", "openmpi"), software("b", "udocker", level=1)))
    assert [name for _, name in outline(found)] == ["base", "base", "openmpi", "udocker"]


def test_nodes_with_homes_of_their_own_get_keys_and_tools_before_anything_else():
    first, second, _ = site((), own_homes=True).plays
    assert first["hosts"] == "im_others"
    assert first["tasks"] == [part("own_home")]
    assert second["roles"] == ["base"]


def test_the_same_role_on_two_groups_is_one_play(plan, topology, software):
    found = plan(topology(software("a", "openmpi", "front"), software("b", "openmpi")))
    assert outline(found)[2:] == [("group_front:group_worker", "openmpi")]


def test_roles_of_one_level_on_the_same_groups_share_a_play(plan, topology, software):
    found = plan(topology(*(software(f"{r}-{g}", r, g) for r in ("openmpi", "docker") for g in ("front", "worker"))))
    assert outline(found)[2:] == [("group_front:group_worker", "openmpi, docker")]
    assert [role["role"] for role in found.plays[2]["roles"]] == ["openmpi", "docker"]


def test_the_same_role_with_other_inputs_stays_apart(plan, topology, software):
    found = plan(topology(software("a", "docker", "front", modes="P1"), software("b", "docker", modes="F3")))
    assert [(play["hosts"], play["roles"][0]["vars"]) for play in found.plays[2:]] == [
        ("group_front", {"modes": "P1"}),
        ("group_worker", {"modes": "F3"}),
    ]


def test_levels_follow_each_other(plan, topology, software):
    found = plan(topology(software("late", "docker", level=2), software("early", "openmpi", level=1)))
    assert outline(found)[2:] == [("group_worker", "openmpi"), ("group_worker", "docker")]


def test_inputs_are_evaluated_with_the_addresses_of_the_nodes(plan, topology, software):
    address = {"get_attribute": ["front", "private_address", 0]}
    found = plan(topology(software("a", "openmpi", server=address)))
    assert found.plays[2]["roles"][0]["vars"] == {"server": "10.0.0.1"}


def test_a_script_gets_its_inputs_as_environment(plan, topology, software):
    inputs = {"title": "x y", "number": 3, "flag": True, "hosts": ["a", "b"]}
    found = plan(topology(software("tool", "/t/install.sh", **inputs)))
    assert found.plays[2]["environment"] == {"title": "x y", "number": "3", "flag": "true", "hosts": "a b"}
    assert found.plays[2]["tasks"][0]["ansible.builtin.script"]["cmd"] in found.files


def test_a_playbook_runs_on_the_nodes_of_its_software_whatever_hosts_it_names(plan, topology, software, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text("- hosts: localhost\n  connection: local\n  vars: {a: 1, b: 1}\n  tasks: []\n")
    found = plan(topology(software("tool", book, b=2)))
    target = found.plays[2]["import_playbook"]
    assert yaml.safe_load(found.texts[target]) == [
        {"name": "tool", "hosts": "group_worker", "vars": {"a": 1, "b": 2}, "tasks": []}
    ]


def test_a_list_of_tasks_becomes_a_playbook(plan, topology, software, tmp_path):
    book = tmp_path / "tasks.yml"
    book.write_text("- command: 'true'\n")
    found = plan(topology(software("tool", book)))
    assert yaml.safe_load(next(iter(found.texts.values()))) == [
        {"name": "tool", "hosts": "group_worker", "vars": {}, "tasks": [{"command": "true"}]}
    ]


def test_what_lies_beside_a_playbook_goes_along_and_nothing_else(plan, topology, software, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text("- hosts: all\n  roles: [mine]\n")
    (tmp_path / "roles" / "mine").mkdir(parents=True)
    (tmp_path / "motd.j2").touch()
    (tmp_path / "data.iso").touch()
    found = plan(topology(software("tool", book)))
    assert sorted(path.name for path in found.files.values()) == ["motd.j2", "roles"]


def test_tags_of_ansible_survive(plan, topology, software, tmp_path):
    book = tmp_path / "book.yml"
    book.write_text(
        "- hosts: all\n  vars:\n    secret: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      6162\n"
        "    raw: !unsafe '{{ x }}'\n  tasks: []\n"
    )
    text = next(iter(plan(topology(software("tool", book))).texts.values()))
    assert "!vault" in text
    assert "$ANSIBLE_VAULT" in text
    assert "!unsafe" in text


@pytest.mark.parametrize("text", ["a: [", "just words", "- word"])
def test_a_file_that_is_no_playbook_is_named(plan, topology, software, tmp_path, text):
    book = tmp_path / "book.yml"
    book.write_text(text)
    with pytest.raises(ContextualizationError, match=r"not YAML|not a playbook") as caught:
        plan(topology(software("tool", book)))
    assert "book.yml" in caught.value.where


def test_a_missing_playbook_is_named(plan, topology, software):
    with pytest.raises(ContextualizationError, match="cannot be read") as caught:
        plan(topology(software("tool", "/nowhere/book.yml")))
    assert caught.value.where == "/nowhere/book.yml"
