"""The OpenSSH client configuration of one infrastructure: what ``ssh``, people and Ansible share."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from im.errors import SshError
from im.ssh.jump import proxy_line
from im.ssh.keys import KeyRing, write_private

if TYPE_CHECKING:
    from im.plan.model import Cluster, Node

_HEADER = """\
Host {names}
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  PasswordAuthentication no
  ForwardAgent no
  ConnectTimeout 10
  ServerAliveInterval 5
  ServerAliveCountMax 3
  ControlMaster auto
  ControlPersist 60
  ControlPath {sockets}/%C
  LogLevel ERROR
"""


def ssh_config(cluster: Cluster) -> str:
    """Return text for ``~/.ssh/config``: nodes by name, keys verified, the way through the front-end."""
    nodes = [node for node in cluster.nodes if node.address]
    hosts = "".join(_host(cluster, node) for node in nodes)
    keys = KeyRing(Path(cluster.keys))
    return hosts + _HEADER.format(
        names=" ".join(node.name for node in nodes) or "none",
        key=_quoted(keys.client_key),
        known_hosts=_quoted(keys.known_hosts),
        sockets=socket_folder(cluster),
    )


def config_file(cluster: Cluster) -> Path:
    """Write what :func:`ssh_config` and the known host keys say now, and return the file for ``ssh -F``."""
    keys = KeyRing(Path(cluster.keys))
    keys.ensure()
    keys.write_known_hosts(cluster.nodes)
    path = keys.folder / "config"
    write_private(path, ssh_config(cluster))
    return path


def hop(cluster: Cluster, node: Node) -> Node | None:
    """Return the node that a connection to ``node`` goes through, if any."""
    return cluster.front_end if cluster.via_front_end and not node.front_end else None


def socket_folder(cluster: Cluster) -> Path:
    """Where the sockets of shared connections lie: a short path (104 bytes at most), closed to others."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and len(runtime) < 30 and Path(runtime).is_dir() else Path("/tmp")  # noqa: S108
    digest = hashlib.sha256(str(Path(cluster.keys).resolve()).encode()).hexdigest()[:10]
    return base / f"im-{os.getuid()}-{digest}"


def make_socket_folder(cluster: Cluster) -> Path:
    """Make :func:`socket_folder`; refuses a folder that somebody else put there."""
    folder = socket_folder(cluster)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise SshError(
            f"{folder} is not a private folder of yours",
            hint="remove it, or set XDG_RUNTIME_DIR to a folder that only you can write to",
        )
    return folder


def _host(cluster: Cluster, node: Node) -> str:
    jump = hop(cluster, node)
    lines = [f"Host {node.name}", f"  HostName {node.private_address if jump else node.address}", f"  User {node.user}"]
    if jump:
        lines.append(f"  ProxyJump {jump.name}")
    elif cluster.jump_host:
        lines.append(f"  ProxyCommand {proxy_line(cluster.jump_host)}")
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    return f'"{path}"'.replace("%", "%%")
