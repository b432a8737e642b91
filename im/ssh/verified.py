"""A login whose host key was compared before anything else was sent, for questions that need no ``ssh`` program."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from im.errors import SshError
from im.ssh.config import hop
from im.ssh.jump import Jump
from im.ssh.keys import KeyRing

if TYPE_CHECKING:
    import paramiko

    from im.plan.model import Cluster, Node

PORT = 22
PATIENCE = 20.0
"""Seconds that sshd has for each answer once it has taken the connection: a machine that boots has much else to do."""
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what matters comes as an error of ours
WRONG_KEY = "another machine may answer at this address; nothing was sent to it"


class Tunnels(ExitStack):
    """Connections to front-ends that many questions share: each node is one channel of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open: dict[str, paramiko.Transport] = {}

    def __enter__(self) -> Self:
        return self

    def channel(self, cluster: Cluster, front_end: Node, address: str, timeout: float) -> paramiko.Channel | None:
        """Return a connection from the front-end to an address; None if the front-end does not answer."""
        import paramiko

        with self._lock:
            transport = self._open.get(cluster.keys)
            if transport is None or not transport.is_active():
                found = login(cluster, front_end, [front_end.host_public_key], timeout=timeout, open_things=self)
                if found is None:
                    return None
                transport = self._open[cluster.keys] = found[0]
        try:
            return transport.open_channel("direct-tcpip", (address, PORT), ("127.0.0.1", 0), timeout=timeout)
        except paramiko.ChannelException:
            raise  # nobody at that address
        except (OSError, EOFError, paramiko.SSHException):
            transport.close()
            raise


def login(
    cluster: Cluster,
    node: Node,
    expected: Collection[str],
    *,
    timeout: float,
    open_things: ExitStack,
    tunnels: Tunnels | None = None,
) -> tuple[paramiko.Transport, str] | None:
    """Return a transport and which of the ``expected`` public keys the node showed; None while it is not there yet.

    ``timeout``: how long the connection may take; who takes it is given more time to speak.
    Raises :class:`im.errors.SshError` if the node, or the one on the way to it, shows another key.
    """
    import paramiko

    jump = None
    stream: socket.socket | paramiko.Channel | None
    try:
        if front_end := hop(cluster, node):
            tunnels = tunnels or open_things.enter_context(Tunnels())
            stream = tunnels.channel(cluster, front_end, node.private_address, timeout)
        elif cluster.jump_host:
            jump = Jump(cluster.jump_host, node.address, PORT, open_things)
            stream = jump.socket
        else:
            stream = open_things.enter_context(socket.create_connection((node.address, PORT), timeout=timeout))
        if stream is None:
            return None
        return _verified(cluster, node, expected, stream=stream, open_things=open_things)
    except (OSError, EOFError, paramiko.SSHException):
        if jump:
            jump.check()
        return None


def wrong_key(node: Node) -> SshError:
    """Return the error for a host key that is not ours."""
    where = f"node {node.name} ({node.address})"
    return SshError("the host key is not the one that was given to the node", where=where, hint=WRONG_KEY)


def _verified(
    cluster: Cluster,
    node: Node,
    expected: Collection[str],
    *,
    stream: socket.socket | paramiko.Channel,
    open_things: ExitStack,
) -> tuple[paramiko.Transport, str]:
    import paramiko

    transport = paramiko.Transport(stream)
    open_things.callback(transport.close)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = PATIENCE
    transport.start_client(timeout=PATIENCE)
    server = transport.get_remote_server_key()
    shown = f"{server.get_name()} {server.get_base64()}"
    if shown not in (short := {_short(key): key for key in expected}):
        raise wrong_key(node)
    key = paramiko.Ed25519Key.from_private_key_file(str(KeyRing(Path(cluster.keys)).client_key))
    transport.auth_publickey(node.user, key)
    return transport, short[shown]


def _short(public_key: str) -> str:
    """A public key without its comment."""
    return " ".join(public_key.split()[:2])
