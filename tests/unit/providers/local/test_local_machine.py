"""The machine's settings come back when the last infrastructure leaves."""

import multiprocessing
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from im.providers.local import firewall, machine, network
from im.providers.local.cgroups import Hierarchy
from im.providers.local.locks import is_locked, locked


@pytest.fixture(autouse=True)
def pretend_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "RUNTIME", tmp_path / "run")
    monkeypatch.setattr(machine, "SYSCTL", tmp_path / "ipv4")
    for link in ("all", "eth0", "eth1"):
        write(tmp_path / "ipv4/conf" / link / "forwarding", "0\n")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def forwarding(link):
    return (machine.SYSCTL / "conf" / link / "forwarding").read_text().strip()


def test_forwarding_is_switched_on_for_the_uplink_only():
    machine.enter("00000001", ("eth0",), ())
    assert (forwarding("all"), forwarding("eth0"), forwarding("eth1")) == ("0", "1", "0")


def test_the_last_one_to_leave_puts_forwarding_back():
    machine.enter("00000001", ("eth0",), ())
    machine.enter("00000002", ("eth0",), ())
    machine.enter("00000002", ("eth0",), ())
    machine.leave("00000001")
    assert forwarding("eth0") == "1"
    machine.leave("00000002")
    assert forwarding("eth0") == "0"
    assert not machine.RUNTIME.exists()


def test_forwarding_that_was_on_stays_on():
    (machine.SYSCTL / "conf/eth0/forwarding").write_text("1\n")
    machine.enter("00000001", ("eth0",), ())
    machine.leave("00000001")
    assert forwarding("eth0") == "1"


def test_forwarding_that_somebody_else_switched_on_meanwhile_is_theirs():
    machine.enter("00000001", ("eth0",), ())
    (machine.SYSCTL / "conf/all/forwarding").write_text("1\n")
    machine.leave("00000001")
    assert forwarding("eth0") == "1"


def test_values_from_before_a_restart_are_not_put_back(monkeypatch):
    machine.enter("00000001", ("eth0",), ())
    monkeypatch.setattr(machine, "boot_id", lambda: "the next boot")
    machine.leave("00000001")
    assert forwarding("eth0") == "1"
    assert not machine.RUNTIME.exists()


def test_leaving_without_having_entered_changes_nothing():
    machine.leave("00000001")
    assert forwarding("eth0") == "0"


def test_controllers_that_were_not_handed_down_are_taken_back(tmp_path):
    root = tmp_path / "cgroup"
    write(root / "cgroup.subtree_control", "pids")
    machine.enter("00000001", (), (Hierarchy(root, 2, frozenset({"cpu", "pids"})),))
    assert (root / "cgroup.subtree_control").read_text() == "+cpu"
    machine.leave("00000001")
    assert (root / "cgroup.subtree_control").read_text() == "-cpu"


def test_every_rule_carries_the_infrastructures_comment():
    rules = firewall.wanted_rules("00000001", "iml00000001", "iml+", IPv4Network("10.77.0.0/24"))
    assert all('--comment "im-local 00000001"' in rule for found in rules.values() for rule in found)


def test_existing_rules_are_found_by_the_whole_comment_only(monkeypatch):
    saved = (
        '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i x -m comment --comment "im-local 00000001" -j ACCEPT\n'
        '-A FORWARD -i y -m comment --comment "im-local 000000012" -j ACCEPT\nCOMMIT\n'
        "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n"
    )
    monkeypatch.setattr(firewall, "run", lambda *_: type("Done", (), {"stdout": saved}))
    (rule,) = firewall.existing_rules("00000001")["filter"]
    assert "-i x" in rule
    assert firewall._deletion(rule).startswith("-D FORWARD -i x")


def test_names_of_links_fit_the_kernel():
    assert len(network.link_name("0123abcd")) <= 15


def test_a_lock_excludes_another_process(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    with locked(path):
        assert is_locked(path)
    assert not is_locked(path)


def test_a_lock_file_that_its_holder_removes_excludes_all_the_same(tmp_path):
    path = tmp_path / "folder" / "lock"
    context = multiprocessing.get_context("spawn")
    ready, order = context.Event(), context.SimpleQueue()
    with locked(path):
        waiter = context.Process(target=hold, args=(path, ready, order))
        waiter.start()
        ready.wait(20)
        order.put("holder")
        path.unlink()
        path.parent.rmdir()
    waiter.join(20)
    assert waiter.exitcode == 0
    assert [order.get(), order.get()] == ["holder", "waiter"]


def test_a_folder_that_vanishes_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    made = []

    def is_dir(path):  # which pathlib asks of a folder that was there a moment ago
        if not made:
            made.append(path)
            path.rmdir()
        return path.exists()

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(Path, "is_dir", is_dir)
    with locked(tmp_path / "folder" / "lock"):
        assert made


def test_a_file_where_the_locks_folder_must_be_is_an_error(tmp_path):
    (tmp_path / "folder").touch()
    with pytest.raises(FileExistsError), locked(tmp_path / "folder" / "lock"):
        pass


def hold(path, ready, order):
    ready.set()
    with locked(path):
        order.put("waiter")
