"""The way through a machine of the user's site, where no node can be reached from here.

It is the user's own: the system's ``ssh`` logs in to it, with the user's configuration, keys and known hosts.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from im.errors import InputError, NotReachable, SshError

PLACE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]{1,5})?")
"""``[user@]host[:port]``, with nothing in it that a shell or ssh could take for more."""

FROM_THERE = "the node must be reachable from there: see the site's routes and security groups, and its console log"
_HOPELESS = ("Host key verification failed", "Permission denied", "Could not resolve hostname", "Bad configuration")


def jump_host_of(cloud: str, jump_hosts: Mapping[str, str]) -> str:
    """Return the jump host of a cloud (``provider:account``, or the account alone), "" for none.

    Raises :class:`im.errors.InputError` if it is not a place.
    """
    place = jump_hosts.get(cloud) or jump_hosts.get(cloud.partition(":")[2]) or ""
    if place and not PLACE.fullmatch(place):
        raise InputError(f"{place!r} is not user@host[:port]", where="setting jump_hosts")
    return place


def jump_command(place: str, target: str) -> list[str]:
    """Return the command whose standard input and output are a connection from the jump host to ``target``."""
    host, _, port = place.partition(":")
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"]
    return ["ssh", *options, *(["-p", port] if port else []), "-W", target, host]


def proxy_line(place: str) -> str:
    """Return the value of OpenSSH's ``ProxyCommand``."""
    return shlex.join(jump_command(place, "[%h]:%p"))  # OpenSSH puts the shell's exec before it


class Jump:
    """One connection through the jump host, as a socket; :meth:`check` tells why it could not be had."""

    def __init__(self, place: str, address: str, port: int, open_things: ExitStack) -> None:
        self._place = place
        self.socket, theirs = socket.socketpair()
        open_things.callback(self.socket.close)
        line = jump_command(place, f"[{address}]:{port}")
        with theirs:
            self._process = subprocess.Popen(
                line, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE
            )
        open_things.callback(self._end)

    def check(self) -> None:
        """Raise what ssh said: :class:`im.errors.NotReachable`, or another ``SshError`` if waiting will not help."""
        self.socket.close()
        with suppress(subprocess.TimeoutExpired):
            _, said = self._process.communicate(timeout=1)
            lines = said.decode(errors="replace").strip().splitlines()
            if any(reason in line for line in lines for reason in _HOPELESS):
                hint = f"ssh {self._place} must work without a question"
                raise SshError(lines[-1].strip(), where=f"jump host {self._place}", hint=hint)
            if lines:
                raise NotReachable(f"no way through the jump host {self._place}: {lines[0].strip()}", hint=FROM_THERE)

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
