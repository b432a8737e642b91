"""The SSH material of one infrastructure: who may log in, and which host key belongs to which node."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from im.errors import SshError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from im.plan.model import Node


@dataclass(frozen=True, slots=True)
class HostKey:
    """The key pair that proves a node's identity: OpenSSH private key text, and the ``ssh-ed25519 AAAA…`` line."""

    private: str = field(repr=False)
    public: str


def known_hosts_text(nodes: Iterable[Node]) -> str:
    """Return known_hosts lines for all nodes whose host key is known, by name and by every address."""
    lines = []
    for node in nodes:
        names = [node.name, *dict.fromkeys(a for a in (node.private_address, node.public_address) if a)]
        if node.host_public_key:
            lines.append(f"{','.join(names)} {' '.join(node.host_public_key.split()[:2])}\n")
    return "".join(lines)


def write_private(path: Path, text: str) -> None:
    """Replace a file by ``text`` in one step; only the owner may read it. Nothing is written if it says so already."""
    with suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            return
    with NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)


class KeyRing:
    """The keys in one folder (mode 0700, files 0600), each made once and kept.

    ``client``: this machine logs in to the nodes with it. ``cluster``: the nodes log in to each other with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client_key = folder / "client"
        self.known_hosts = folder / "known_hosts"

    def ensure(self) -> None:
        """Make the client and the cluster key, unless they exist."""
        self._pair("client")
        self._pair("cluster")

    @property
    def client_public(self) -> str:
        """The public key that the nodes must let in from this machine."""
        return self._pair("client").public

    @property
    def cluster_private(self) -> str:
        """The private key that the nodes use among themselves."""
        return self._pair("cluster").private

    @property
    def cluster_public(self) -> str:
        """The public key that the nodes must let in from each other."""
        return self._pair("cluster").public

    def host_key(self, node: str) -> HostKey:
        """Return the host key of that node; it is made when it is first asked for."""
        return self._pair(f"host-{node}")

    def group_key(self, group: str) -> HostKey:
        """Return the host key with which the nodes of a group begin, where the cloud makes them all alike."""
        return self._pair("group-" + re.sub(r"[^A-Za-z0-9_.-]", "-", group))

    def write_known_hosts(self, nodes: Sequence[Node]) -> None:
        """Write the ``known_hosts`` file that every connection of ours is checked against."""
        self._make_folder()
        write_private(self.known_hosts, known_hosts_text(nodes))

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def _pair(self, name: str) -> HostKey:
        path = self.folder / name
        if not path.exists():
            self._make_folder()
            self._create(path)
        try:
            private = path.read_text(encoding="ascii")
        except OSError as error:
            raise SshError(f"cannot read an SSH key: {error.strerror}", where=str(path)) from error
        return HostKey(private, _public_line(path, private))

    def _create(self, path: Path) -> None:
        """Write a new key unless another process wins: a key that exists is never replaced."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
        with NamedTemporaryFile("w", dir=self.folder, encoding="ascii") as file:
            file.write(text)
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)


def _public_line(path: Path, private: str) -> str:
    """Return the public line of a private key, from the ``.pub`` file beside it (written when missing)."""
    beside = path.with_name(f"{path.name}.pub")
    if not beside.exists():
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

        key = load_ssh_private_key(private.encode("ascii"), None)
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
        write_private(beside, f"{public}\n")
    return beside.read_text(encoding="ascii").strip()
