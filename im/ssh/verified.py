"""A login whose host key was compared before anything else was sent, for questions that need no ``ssh`` program."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from im.errors import NotReachable, SshError
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
_PROHIBITED = 1
"""The reason in SSH's refusal of a channel that the server's configuration forbids (RFC 4254, 5.1)."""
CONSOLE = "its console log tells how far it has booted"
NO_ANSWER = "a security group or a firewall may keep us out, or there is no way from here to its network"
FORBIDDEN = "the sshd of the front-end's image must allow AllowTcpForwarding"
NO_SERVER = f"it runs, but no SSH server does yet: {CONSOLE}"
SILENT = f"it may still boot, or lack memory: {CONSOLE}"
NO_KEY = f"cloud-init may not have put the key there yet, or the image has none, or no such account: {CONSOLE}"


class Tunnels(ExitStack):
    """Connections to front-ends that many questions share: each node is one channel of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open: dict[str, paramiko.Transport] = {}

    def __enter__(self) -> Self:
        return self

    def channel(self, cluster: Cluster, front_end: Node, address: str, timeout: float) -> paramiko.Channel:
        """Return a connection from the front-end to an address. Raises :class:`im.errors.NotReachable`."""
        import paramiko

        transport = self._transport(cluster, front_end, timeout)
        try:
            return transport.open_channel("direct-tcpip", (address, PORT), ("127.0.0.1", 0), timeout=timeout)
        except paramiko.ChannelException as error:
            forbidden = error.code == _PROHIBITED
            what = "does not let us through to" if forbidden else "cannot connect to"
            hint = FORBIDDEN if forbidden else NO_SERVER
            raise NotReachable(f"{front_end.name} {what} {address} port {PORT}", hint=hint) from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            transport.close()
            raise NotReachable(f"the connection to {front_end.name} broke: {_words(error)}") from None

    def _transport(self, cluster: Cluster, front_end: Node, timeout: float) -> paramiko.Transport:
        with self._lock:
            transport = self._open.get(cluster.keys)
            if transport is None or not transport.is_active():
                try:
                    found = login(cluster, front_end, [front_end.host_public_key], timeout=timeout, open_things=self)
                except NotReachable as error:
                    message = f"the way through {front_end.name} is closed: {error.message}"
                    raise NotReachable(message, hint=error.hint) from None
                transport = self._open[cluster.keys] = found[0]
            return transport


def login(
    cluster: Cluster,
    node: Node,
    expected: Collection[str],
    *,
    timeout: float,
    open_things: ExitStack,
    tunnels: Tunnels | None = None,
) -> tuple[paramiko.Transport, str]:
    """Return a transport and which of the ``expected`` public keys the node showed.

    ``timeout``: how long the connection may take; who takes it is given more time to speak.
    Raises :class:`im.errors.NotReachable` while the node does not let us in, and :class:`im.errors.SshError` if it, or
    the one on the way to it, shows another key.
    """
    if front_end := hop(cluster, node):
        tunnels = tunnels or open_things.enter_context(Tunnels())
        channel = tunnels.channel(cluster, front_end, node.private_address, timeout)
        return _verified(cluster, node, expected, stream=channel, open_things=open_things)
    if not cluster.jump_host:
        stream = open_things.enter_context(_connection(node.address, timeout))
        return _verified(cluster, node, expected, stream=stream, open_things=open_things)
    jump = Jump(cluster.jump_host, node.address, PORT, open_things)
    try:
        return _verified(cluster, node, expected, stream=jump.socket, open_things=open_things)
    except NotReachable:
        jump.check()
        raise


def wrong_key(node: Node) -> SshError:
    """Return the error for a host key that is not ours."""
    where = f"node {node.name} ({node.address})"
    return SshError("the host key is not the one that was given to the node", where=where, hint=WRONG_KEY)


def _connection(address: str, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((address, PORT), timeout=timeout)
    except ConnectionRefusedError:
        raise NotReachable(f"{address} refuses connections to port {PORT}", hint=NO_SERVER) from None
    except OSError as error:
        message = f"no connection to {address} port {PORT}: {error.strerror or _words(error)}"
        raise NotReachable(message, hint=NO_ANSWER) from None


def _verified(
    cluster: Cluster,
    node: Node,
    expected: Collection[str],
    *,
    stream: socket.socket | paramiko.Channel,
    open_things: ExitStack,
) -> tuple[paramiko.Transport, str]:
    import paramiko

    with _not_yet("it takes connections, but does not speak SSH", SILENT):
        transport = paramiko.Transport(stream)
        open_things.callback(transport.close)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = PATIENCE
        transport.start_client(timeout=PATIENCE)
        server = transport.get_remote_server_key()
    shown = f"{server.get_name()} {server.get_base64()}"
    if shown not in (short := {_short(key): key for key in expected}):
        raise wrong_key(node)
    key = paramiko.Ed25519Key.from_private_key_file(str(KeyRing(Path(cluster.keys)).client_key))
    with _not_yet(f"it does not accept our key for the account {node.user}", NO_KEY):
        transport.auth_publickey(node.user, key)
    return transport, short[shown]


@contextmanager
def _not_yet(what: str, hint: str) -> Iterator[None]:
    """What fails here may work in a moment."""
    import paramiko

    try:
        yield
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise NotReachable(f"{what}: {_words(error)}", hint=hint) from None


def _words(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _short(public_key: str) -> str:
    """A public key without its comment."""
    return " ".join(public_key.split()[:2])
