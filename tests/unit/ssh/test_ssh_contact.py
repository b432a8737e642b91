"""The first contact with nodes that begin with one common host key."""

import io
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import paramiko
import pytest

from im.errors import NotReachable, SshError
from im.plan.model import Cluster, Node
from im.ssh import contact, verified
from im.ssh.contact import reach
from im.ssh.keys import KeyRing


class Server:
    """An SSH server that shows whatever key lies in its file when a connection begins, and runs what it is told."""

    def __init__(self, file, client_public, *, works=True, slow=0.0):
        self.file = file
        self.client_public = client_public
        self.works = works
        self.slow = slow
        self.commands = []
        self.shown = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._transports = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            key = paramiko.Ed25519Key.from_private_key(io.StringIO(self.file.read_text()))
            self.shown.append(f"{key.get_name()} {key.get_base64()}")
            transport = paramiko.Transport(client)
            self._transports.append(transport)
            transport.add_server_key(key)
            time.sleep(self.slow)
            try:
                transport.start_server(server=Session(self))
            except (paramiko.SSHException, EOFError):
                continue

    def close(self):
        self._socket.close()
        for transport in self._transports:
            transport.close()


class Session(paramiko.ServerInterface):
    def __init__(self, server):
        self.server = server

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        known = f"{key.get_name()} {key.get_base64()}" == self.server.client_public
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        self.server.commands.append(command.decode())
        threading.Thread(target=self._run, args=(channel, command), daemon=True).start()
        return True

    def _run(self, channel, command):
        given = channel.makefile("rb").read()
        if self.server.works:
            done = subprocess.run(["sh", "-c", command], input=given, capture_output=True, check=False)
            said, status = done.stderr, done.returncode
        else:
            said, status = b"mktemp: read-only file system\n", 1
        channel.sendall_stderr(said)
        channel.send_exit_status(status)
        channel.close()


@pytest.fixture
def ring(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.ensure()
    return ring


@pytest.fixture
def serve(tmp_path, ring, monkeypatch):
    """Start a server whose host key is this one."""
    servers = []

    def start(key, **options):
        file = tmp_path / "ssh_host_ed25519_key"
        file.write_text(key.private)
        server = Server(file, ring.client_public, **options)
        servers.append(server)
        monkeypatch.setattr(verified, "PORT", server.port)
        monkeypatch.setattr(contact, "HOST_KEY", str(file))
        return server

    yield start
    for server in servers:
        server.close()


def node(host_public_key):
    return Node("i", "worker-1", "worker", 1, "t", private_address="127.0.0.1", host_public_key=host_public_key)


def lab(ring, worker):
    return Cluster("i", "lab", "hpc", str(ring.folder), (worker,), via_front_end=False)


def test_a_node_that_begins_with_its_groups_key_gets_its_own(ring, serve):
    group, own = ring.group_key("worker"), ring.host_key("worker-1")
    server, worker = serve(group), node(group.public)
    reach(lab(ring, worker), worker)
    assert server.shown == [group.public, own.public]
    assert server.file.read_text() == own.private
    assert server.file.stat().st_mode & 0o777 == 0o600
    assert server.file.with_name("ssh_host_ed25519_key.pub").read_text().split()[:2] == own.public.split()


def test_a_node_that_got_its_own_key_before_the_store_knew_is_reached(ring, serve):
    server, worker = serve(ring.host_key("worker-1")), node(ring.group_key("worker").public)
    reach(lab(ring, worker), worker)
    assert server.commands == []


def test_a_node_that_has_its_own_key_is_not_believed_with_its_groups(ring, serve):
    server, worker = serve(ring.group_key("worker")), node(ring.host_key("worker-1").public)
    with pytest.raises(SshError, match="not the one that was given to the node"):
        reach(lab(ring, worker), worker)
    assert server.commands == []


def test_a_stranger_is_sent_nothing(ring, serve):
    server, worker = serve(ring.host_key("stranger")), node(ring.group_key("worker").public)
    with pytest.raises(SshError, match="not the one that was given to the node"):
        reach(lab(ring, worker), worker)
    assert server.commands == []


def test_a_node_that_does_not_take_its_key_says_why(ring, serve):
    group = ring.group_key("worker")
    serve(group, works=False)
    worker = node(group.public)
    with pytest.raises(
        SshError, match="node worker-1: the node does not take a host key of its own: mktemp: read-only"
    ):
        reach(lab(ring, worker), worker)


def test_a_node_whose_sshd_goes_on_with_the_old_key_is_not_there_yet(ring, serve, monkeypatch, tmp_path):
    monkeypatch.setattr(contact, "_PAUSES", (0.0, 0.0))
    group = ring.group_key("worker")
    server, worker = serve(group), node(group.public)
    monkeypatch.setattr(contact, "HOST_KEY", str(tmp_path / "another-file"))
    with pytest.raises(NotReachable, match="has not begun anew"):
        reach(lab(ring, worker), worker)
    assert server.shown == [group.public] * 3


def test_the_private_key_is_no_argument(ring, serve):
    group = ring.group_key("worker")
    server, worker = serve(group), node(group.public)
    reach(lab(ring, worker), worker)
    assert "PRIVATE" not in server.commands[0]
    assert ring.host_key("worker-1").private.splitlines()[1] not in server.commands[0]


def test_a_node_that_takes_a_connection_but_speaks_slowly_is_given_time(ring, serve):
    own = ring.host_key("worker-1")
    serve(own, slow=0.5)
    worker = node(own.public)
    reach(lab(ring, worker), worker, timeout=0.1)


def test_what_paramiko_logs_does_not_get_between_the_lines_of_a_deploy():
    program = "import logging, im.ssh.verified; logging.getLogger('paramiko.transport').error('Secsh channel 1 FAILED')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# why nobody can log in yet


@pytest.fixture
def obstacle(ring):
    """What keeps us out of a worker with its own host key."""

    def ask(**more):
        worker = node(ring.host_key("worker-1").public)
        with pytest.raises(NotReachable) as caught:
            reach(lab(ring, worker), worker, **more)
        return caught.value

    return ask


def test_nobody_at_the_port_refuses_the_connection(obstacle, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(verified, "PORT", taken.getsockname()[1])
    error = obstacle()
    assert error.message == f"127.0.0.1 refuses connections to port {verified.PORT}"
    assert "console log" in error.hint


def test_what_does_not_let_a_connection_through_is_told_with_the_systems_words(obstacle, monkeypatch):
    def unanswered(*_, **__):
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket, "create_connection", unanswered)
    error = obstacle()
    assert error.message == "no connection to 127.0.0.1 port 22: No route to host"
    assert "security group" in error.hint


def test_a_connection_that_nobody_answers_in_time_is_told_as_that(obstacle, monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        monkeypatch.setattr(verified, "PORT", full.getsockname()[1])
        with socket.create_connection(full.getsockname()):
            error = obstacle(timeout=0.05)
    assert error.message.endswith(f"port {verified.PORT}: timed out")


def test_a_server_that_takes_the_connection_and_is_silent_is_told_as_that(obstacle, monkeypatch):
    monkeypatch.setattr(verified, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(verified, "PORT", silent.getsockname()[1])
        error = obstacle()
    assert error.message.startswith("it takes connections, but does not speak SSH: ")
    assert "lack memory" in error.hint


def test_a_key_that_is_refused_is_told_with_the_account(obstacle, ring, serve):
    serve(ring.host_key("worker-1")).client_public = ring.host_key("stranger").public
    error = obstacle()
    assert error.message == "it does not accept our key for the account root: Authentication failed"
    assert "cloud-init" in error.hint


def test_a_way_through_the_front_end_that_is_closed_is_told_with_what_closes_it(ring, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(verified, "PORT", taken.getsockname()[1])
    worker, front = node("key"), replace(node("key"), name="front", front_end=True)
    cluster = Cluster("i", "lab", "hpc", str(ring.folder), (front, worker))
    with pytest.raises(NotReachable, match=r"the way through front is closed: 127\.0\.0\.1 refuses connections"):
        reach(cluster, worker)


def test_a_front_end_that_cannot_connect_to_a_worker_is_told_as_that(ring, serve):
    front = replace(node(ring.host_key("front").public), name="front", front_end=True)
    worker = replace(node("key"), private_address="10.0.0.2")
    serve(ring.host_key("front"))
    with pytest.raises(NotReachable, match=r"front does not let us through to 10\.0\.0\.2 port \d+") as caught:
        reach(Cluster("i", "lab", "hpc", str(ring.folder), (front, worker)), worker)
    assert "AllowTcpForwarding" in caught.value.hint


def test_a_node_without_an_address_is_not_looked_for_on_this_machine(ring):
    worker = replace(node("key"), private_address="")
    with pytest.raises(NotReachable, match="no address"):
        reach(lab(ring, worker), worker)
