"""The first contact with real sshds: nodes that begin with one common host key end with their own."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from im.errors import NotReachable, SshError
from im.plan.model import Cluster, Identity, Node, NodeSpec
from im.providers.base import Environment
from im.providers.local import LocalProvider
from im.ssh import connection
from im.ssh.contact import reach
from im.ssh.keys import KeyRing
from im.ssh.verified import Tunnels, login

pytestmark = pytest.mark.e2e_local


def wait(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds:g} s"
        time.sleep(0.1)


def there(look, *words, **more) -> bool:
    """Whether a look succeeds by now."""
    try:
        look(*words, **more)
    except NotReachable:
        return False
    return True


def log_in(cluster: Cluster, node: Node) -> None:
    """Log in with the host key that is written down, and change nothing."""
    with ExitStack() as open_things:
        login(cluster, node, [node.host_public_key], timeout=5, open_things=open_things)


@pytest.fixture
def cluster(new_home):
    """A front-end with its own host key, and two workers with that of their group."""
    settings = new_home()
    infrastructure = secrets.token_hex(4)
    provider = LocalProvider(settings)
    ring = KeyRing(settings.infrastructure_folder(infrastructure) / "ssh")
    ring.ensure()
    keys = {"front": ring.host_key("front"), "worker-1": ring.group_key("worker"), "worker-2": ring.group_key("worker")}

    def spec(number, name):
        identity = Identity("root", (ring.client_public,), keys[name].private, keys[name].public)
        return NodeSpec(
            infrastructure, name[:6], number, name, f"{infrastructure}-{name}", 1, 1 << 29, "debian-12",
            identity=identity,
        )  # fmt: skip

    def node(one):
        public = keys[one.name].public
        return Node(
            infrastructure, one.name, one.group, one.index, one.token, id=one.id, host_public_key=public,
            private_address=one.private_address, front_end=one.name == "front",
        )  # fmt: skip

    provider.prepare(Environment(infrastructure, "contact", images=("debian-12",)), lambda _: None)
    try:
        made = provider.create([spec(number, name) for number, name in enumerate(keys, start=1)])
        cluster = Cluster(infrastructure, "contact", "root", str(ring.folder), tuple(map(node, made)))
        wait(lambda: there(reach, cluster, cluster.front_end))
        yield cluster
        connection.close(cluster)
    finally:
        provider.delete([one.id for one in provider.list(infrastructure)])
        wait(lambda: not provider.list(infrastructure) and not provider.release(infrastructure))


def with_own_key(cluster: Cluster, name: str) -> tuple[Cluster, Node]:
    own = replace(cluster.node(name), host_public_key=KeyRing(Path(cluster.keys)).host_key(name).public)
    nodes = tuple(own if node.name == name else node for node in cluster.nodes)
    return replace(cluster, nodes=nodes), own


def test_a_worker_gets_its_own_host_key_through_the_front_end(cluster):
    worker = cluster.node("worker-1")
    wait(lambda: there(reach, cluster, worker))
    after, own = with_own_key(cluster, "worker-1")
    assert connection.run(after, own, ["hostname"]).stdout == b"worker-1\n"
    with pytest.raises(SshError, match="host key is not the one"):
        log_in(cluster, worker)
    log_in(cluster, cluster.node("worker-2"))  # which has not had its own


def test_a_worker_whose_new_key_was_not_written_down_is_reached_again(cluster):
    worker = cluster.node("worker-1")
    wait(lambda: there(reach, cluster, worker))
    reach(cluster, worker)


def test_a_connection_that_is_open_survives_the_new_key(cluster):
    worker = cluster.node("worker-1")
    wait(lambda: there(log_in, cluster, worker))
    connection.run(cluster, worker, ["true"])
    wait(lambda: there(reach, cluster, worker))
    assert connection.run(cluster, worker, ["hostname"]).stdout == b"worker-1\n"


def test_many_questions_share_one_connection_to_the_front_end_and_a_new_one_follows_a_lost_one(cluster):
    with Tunnels() as tunnels:
        for name in ("worker-1", "worker-2"):
            wait(lambda name=name: there(reach, cluster, cluster.node(name), tunnels=tunnels))
        (first,) = tunnels._open.values()
        first.close()
        reach(cluster, cluster.node("worker-1"), tunnels=tunnels)
        (second,) = tunnels._open.values()
        assert second is not first
