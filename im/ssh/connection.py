"""Connections to nodes. The host key is verified from the first byte; nothing here asks, or trusts on first use."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from im.errors import SshError
from im.ssh.config import config_file, make_socket_folder, socket_folder
from im.ssh.verified import wrong_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from im.plan.model import Cluster, Node


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command on a node ended: its exit status and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


def command(cluster: Cluster, node: Node, *, user: str | None = None, tty: bool = False) -> list[str]:
    """Return the start of an ``ssh`` command line to ``node``; what follows is the remote command (one shell line).

    The connection is shared with the others to the same node and account, and stays up for a minute after the last.
    """
    make_socket_folder(cluster)
    return [
        "ssh",
        "-F",
        str(config_file(cluster)),
        "-t" if tty else "-T",
        "-l",
        user or node.user,
        node.name,
    ]


def run(
    cluster: Cluster,
    node: Node,
    argv: Sequence[str],
    *,
    user: str | None = None,
    stdin: bytes | None = None,
    timeout: float = 60,
) -> Completed:
    """Run ``argv`` on ``node`` (no shell looks at the arguments) and wait for its end.

    Raises :class:`im.errors.SshError` when ssh itself fails or the time is over; a command that fails is a status.
    """
    line = [*command(cluster, node, user=user), "--", shlex.join(argv)]
    try:
        done = subprocess.run(line, capture_output=True, timeout=timeout, check=False, input=stdin or b"")
    except subprocess.TimeoutExpired as expired:
        raise SshError(
            f"no answer within {timeout:g} s", where=f"node {node.name}", hint=f"ran: {argv[0]}"
        ) from expired
    if done.returncode == 255:
        raise ssh_error(node, done.stderr)
    return Completed(done.returncode, done.stdout, done.stderr)


def ssh_error(node: Node, stderr: bytes) -> SshError:
    """Return the error for what the system's ssh wrote when it gave up."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip(" @\r\n")]
    where = f"node {node.name} ({node.address})"
    if any("HOST IDENTIFICATION HAS CHANGED" in line or "Host key verification failed" in line for line in lines):
        return wrong_key(node)
    own = [line for line in lines if _SSH_SAYS.match(line)]
    return SshError(own[-1] if own else "the ssh connection broke", where=where)


_SSH_SAYS = re.compile(
    r"(ssh|mux\w*|kex\w*|client_loop|banner exchange|channel \d+): |Connection |Timeout, |\S+@\S+: Permission"
)


def close(cluster: Cluster) -> None:
    """End the shared connections of this infrastructure; quietly, if there are none."""
    folder = socket_folder(cluster)
    for path in folder.glob("*") if folder.is_dir() else ():
        with suppress(OSError, subprocess.SubprocessError):
            line = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "any"]
            subprocess.run(line, capture_output=True, timeout=10, check=False)
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
