"""Files and folders to and from nodes: one tar stream each way over the shared, verified connection."""

from __future__ import annotations

import shlex
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from im.errors import SshError
from im.ssh.connection import command, ssh_error

if TYPE_CHECKING:
    from im.plan.model import Cluster, Node


def put(cluster: Cluster, node: Node, source: Path, target: str, *, user: str | None = None) -> None:
    """Copy a file or a folder's content to ``target`` on the node; parent folders are made.

    The remote file is the user's own. Raises :class:`im.errors.SshError`.
    """
    into = shlex.quote(target if source.is_dir() else str(PurePosixPath(target).parent))
    line = [*command(cluster, node, user=user), "--", f"mkdir -p {into} && tar -x --no-same-owner -f - -C {into}"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101
        try:
            _pack(source, PurePosixPath(target).name, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # the node ended first: its message says why
        _finish(process, node, f"cannot write {target}")


def get(cluster: Cluster, node: Node, source: str, target: Path, *, user: str | None = None) -> None:
    """Copy a file or a folder's content from the node to ``target``; parent folders are made.

    What the node sends can only land below ``target``. Raises :class:`im.errors.SshError`.
    """
    quoted = shlex.quote(source)
    name = shlex.quote(PurePosixPath(source).name)
    folder = shlex.quote(str(PurePosixPath(source).parent))
    script = f"if [ -d {quoted} ]; then tar -c -f - -C {quoted} .; else tar -c -f - -C {folder} {name}; fi"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".im-get-") as staging,
        subprocess.Popen(
            [*command(cluster, node, user=user), "--", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101
        is_folder = _unpack(process.stdout, Path(staging))
        _finish(process, node, f"cannot read {source}")
        _place(Path(staging), target, is_folder=is_folder)


def _pack(source: Path, name: str, stream: IO[bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        archive.add(source, arcname="." if source.is_dir() else name, recursive=True)


def _unpack(stream: IO[bytes], folder: Path) -> bool:
    """Unpack an archive; True if it holds a folder (its first member is ``.``)."""
    is_folder = False
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                is_folder = is_folder or member.name == "."
                archive.extract(member, folder, filter="data")
    except tarfile.ReadError:
        return is_folder  # an empty stream: the node's message says why
    return is_folder


def _place(staging: Path, target: Path, *, is_folder: bool) -> None:
    if not is_folder:
        next(staging.iterdir()).replace(target)
        return
    target.mkdir(exist_ok=True)
    for entry in staging.iterdir():
        _merge(entry, target / entry.name)


def _merge(entry: Path, target: Path) -> None:
    if entry.is_dir() and not entry.is_symlink() and target.is_dir():
        for child in entry.iterdir():
            _merge(child, target / child.name)
        return
    entry.replace(target)


def _finish(process: subprocess.Popen[bytes], node: Node, what: str) -> None:
    assert process.stderr is not None  # noqa: S101
    message = process.stderr.read()
    if process.wait() == 255:
        raise ssh_error(node, message)
    if process.returncode != 0:
        text = message.decode(errors="replace").strip().splitlines()
        raise SshError(f"{what}: {text[-1] if text else 'failed'}", where=f"node {node.name}")
