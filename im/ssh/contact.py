"""The first contact with a node: it is verified, and ends with the node showing a host key of its own.

Servers that one call creates begin with one host key, for they all get the same user data. Over the first connection,
verified by that key, each gets its own; from then on it must show that one. Every step may be interrupted: as long as
the node's row has the common key, both are accepted.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import NotReachable, SshError
from im.ssh.keys import KeyRing
from im.ssh.verified import PATIENCE, login

if TYPE_CHECKING:
    import paramiko

    from im.plan.model import Cluster, Node
    from im.ssh.keys import HostKey
    from im.ssh.verified import Tunnels

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
RESTART = f"sshd must read {HOST_KEY} when it is sent SIGHUP"
_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds that sshd is given to begin anew with its new key, before the node counts as not there yet."""

_INSTALL = """\
set -eu
key=$1
umask 077
cat > "$key.new"
ssh-keygen -y -f "$key.new" > "$key.new.pub"
chmod 644 "$key.new.pub"
mv -f "$key.new" "$key"
mv -f "$key.new.pub" "$key.pub"
pid=$$
while [ "$pid" -gt 1 ]; do
  case "$(cat "/proc/$pid/comm") $(tr '\\0' ' ' < "/proc/$pid/cmdline")" in
    sshd\\ *'[listener]'* | sshd\\ /*/sshd\\ *) kill -HUP "$pid" ;;
  esac
  pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
done
"""
"""Standard input is the private key. The sshd that listens is above us; told to, it begins anew with its new key."""


def reach(cluster: Cluster, node: Node, timeout: float = 5, tunnels: Tunnels | None = None) -> None:
    """Log in to a node that shows its own host key; one that does not have it yet is given it.

    ``tunnels``: connections to the front-end that stay open for the next question. Raises
    :class:`im.errors.NotReachable` while the node does not let us in, :class:`im.errors.SshError` on a wrong host key,
    and if the node does not take its own.
    """
    if not node.address:
        raise NotReachable("it has no address")
    own = KeyRing(Path(cluster.keys)).host_key(node.name)
    expected = [own.public, node.host_public_key]
    with ExitStack() as open_things:
        transport, shown = login(cluster, node, expected, timeout=timeout, open_things=open_things, tunnels=tunnels)
        if shown == own.public:
            return
        _install(transport, node, own)
    if not any(_shows_its_own(cluster, node, timeout, tunnels, pause) for pause in _PAUSES):
        raise NotReachable("it has a host key of its own, but its SSH server has not begun anew with it", hint=RESTART)


def _shows_its_own(cluster: Cluster, node: Node, timeout: float, tunnels: Tunnels | None, pause: float) -> bool:
    time.sleep(pause)
    own = KeyRing(Path(cluster.keys)).host_key(node.name).public
    expected = [own, node.host_public_key]
    with ExitStack() as open_things, suppress(NotReachable):
        _, shown = login(cluster, node, expected, timeout=timeout, open_things=open_things, tunnels=tunnels)
        return shown == own
    return False


def _install(transport: paramiko.Transport, node: Node, own: HostKey) -> None:
    """Give the node its own key and let sshd begin anew with it."""
    import paramiko

    script = "'" + _INSTALL.replace("'", "'\\''") + "'"
    root = f"$([ -w {Path(HOST_KEY).parent} ] || echo sudo -n)"
    try:
        channel = transport.open_session(timeout=PATIENCE)
        channel.settimeout(PATIENCE)
        channel.exec_command(f"{root} sh -c {script} sh {HOST_KEY}")
        channel.sendall(own.private.encode())
        channel.shutdown_write()
        said = channel.makefile_stderr().read().decode(errors="replace").strip()
        status = channel.recv_exit_status() if channel.status_event.wait(PATIENCE) else -1
    except (OSError, EOFError, paramiko.SSHException) as error:
        said, status = str(error) or "the connection broke", -1
    if status > 0:
        reason = said.splitlines()[-1] if said else f"exit status {status}"
        raise SshError(f"the node does not take a host key of its own: {reason}", where=f"node {node.name}")
