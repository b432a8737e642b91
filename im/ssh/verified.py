"""A login whose host key was compared before anything else was sent, for questions that need no ``ssh`` program."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import SshError
from im.ssh.config import hop
from im.ssh.jump import Jump
from im.ssh.keys import KeyRing

if TYPE_CHECKING:
    import paramiko

    from im.plan.model import Cluster, Node

PORT = 22


@dataclass(frozen=True, slots=True)
class Way:
    """What is opened on the way to a node: everything, and the jumps among it."""

    open_things: ExitStack
    jumps: list[Jump]


WRONG_KEY = "another machine may answer at this address; nothing was sent to it"


def login(
    cluster: Cluster, node: Node, expected: Collection[str], timeout: float, open_things: ExitStack
) -> tuple[paramiko.Transport, str] | None:
    """Return a transport and which of the ``expected`` public keys the node showed; None while it is not there yet.

    Raises :class:`im.errors.SshError` if the node, or the one on the way to it, shows another key.
    """
    import paramiko

    jumps: list[Jump] = []
    try:
        return _login(cluster, node, expected, timeout, Way(open_things, jumps))
    except (OSError, EOFError, paramiko.SSHException):
        for jump in jumps:
            jump.check()
        return None


def wrong_key(node: Node) -> SshError:
    """Return the error for a host key that is not ours."""
    where = f"node {node.name} ({node.address})"
    return SshError("the host key is not the one that was given to the node", where=where, hint=WRONG_KEY)


def _login(
    cluster: Cluster, node: Node, expected: Collection[str], timeout: float, way: Way
) -> tuple[paramiko.Transport, str]:
    import paramiko

    transport = paramiko.Transport(_stream(cluster, node, timeout, way))
    way.open_things.callback(transport.close)
    transport.banner_timeout = transport.auth_timeout = timeout
    transport.start_client(timeout=timeout)
    server = transport.get_remote_server_key()
    shown = f"{server.get_name()} {server.get_base64()}"
    if shown not in (short := {_short(key): key for key in expected}):
        raise wrong_key(node)
    key = paramiko.Ed25519Key.from_private_key_file(str(KeyRing(Path(cluster.keys)).client_key))
    transport.auth_publickey(node.user, key)
    return transport, short[shown]


def _stream(cluster: Cluster, node: Node, timeout: float, way: Way) -> socket.socket | paramiko.Channel:
    inner = hop(cluster, node)
    if inner is not None:
        tunnel, _ = _login(cluster, inner, [inner.host_public_key], timeout, way)
        return tunnel.open_channel("direct-tcpip", (node.private_address, PORT), ("127.0.0.1", 0), timeout=timeout)
    if cluster.jump_host:
        jump = Jump(cluster.jump_host, node.address, PORT, way.open_things)
        way.jumps.append(jump)
        return jump.socket
    return way.open_things.enter_context(socket.create_connection((node.address, PORT), timeout=timeout))


def _short(public_key: str) -> str:
    """A public key without its comment."""
    return " ".join(public_key.split()[:2])
