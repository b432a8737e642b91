import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from im.plan.model import Node
from im.ssh.keys import HostKey, KeyRing, known_hosts_text, write_private


@pytest.fixture
def ring(tmp_path) -> KeyRing:
    return KeyRing(tmp_path / "ssh")


def node(name="front", **values) -> Node:
    return Node("1a2b3c4d", name, "front", 1, "token", **values)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once_and_kept(ring):
    ring.ensure()
    before = ring.client_key.read_text(), ring.cluster_private, ring.host_key("worker-1")
    again = KeyRing(ring.folder)
    again.ensure()
    assert (again.client_key.read_text(), again.cluster_private, again.host_key("worker-1")) == before


def test_keys_are_for_their_owner_only(ring):
    ring.ensure()
    ring.host_key("worker-1")
    ring.write_known_hosts([])
    assert mode(ring.folder) == 0o700
    assert {mode(path) for path in ring.folder.iterdir()} == {0o600}


def test_every_node_has_a_host_key_of_its_own(ring):
    keys = {ring.host_key(name).public for name in ("front", "worker-1", "worker-2")}
    assert len(keys | {ring.client_public, ring.cluster_public}) == 5


def test_openssh_reads_the_same_public_key_from_our_private_one(ring):
    ring.ensure()
    line = ["ssh-keygen", "-y", "-f", str(ring.client_key)]
    assert (
        subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()[:2]
        == ring.client_public.split()
    )


def test_processes_that_race_for_a_key_end_with_the_same(ring):
    ring.ensure()
    with ThreadPoolExecutor(8) as pool:
        assert len({key.public for key in pool.map(ring.host_key, ["worker-1"] * 32)}) == 1


def test_a_private_key_does_not_show_in_a_representation():
    assert "PRIVATE" not in repr(HostKey("PRIVATE", "ssh-ed25519 AAAA"))


def test_known_hosts_has_names_and_all_addresses():
    found = known_hosts_text(
        [
            node(private_address="10.0.0.1", public_address="192.0.2.7", host_public_key="ssh-ed25519 AAAA comment"),
            node("worker-1", private_address="10.0.0.2", host_public_key="ssh-ed25519 BBBB"),
        ]
    )
    assert found == "front,10.0.0.1,192.0.2.7 ssh-ed25519 AAAA\nworker-1,10.0.0.2 ssh-ed25519 BBBB\n"


def test_a_node_without_a_host_key_is_not_known():
    assert known_hosts_text([node(private_address="10.0.0.1")]) == ""


def test_a_file_that_says_so_already_is_not_written_again(tmp_path):
    path = tmp_path / "file"
    write_private(path, "text")
    before = path.stat().st_ino
    write_private(path, "text")
    assert path.stat().st_ino == before
    write_private(path, "other")
    assert path.read_text() == "other"
    assert list(tmp_path.iterdir()) == [path]
