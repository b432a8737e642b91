"""Podman: no daemon and no root; containers are processes of the job, with a store of the job's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from im_batch import binding, images, mounts, places, processes
from im_batch.faults import BatchError

PROGRAM = "/usr/bin/podman"
_RIGHTS = (
    *("--userns=keep-id", "--network=host", "--log-driver=none", "--pull=never"),
    *("--security-opt=no-new-privileges", "--cap-drop=all"),
)
_SETTINGS = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
"""
BELOW_US = True


def start(wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the container. Raises :class:`BatchError`.

    What is mounted must be bound before the container is made, and by who may mount: in Podman's own user namespace,
    where :func:`inside` goes on.
    """
    place = places.podman()
    if place is None or not Path(PROGRAM).exists():
        raise BatchError("this node has no Podman", "add im.nodes.Podman to its group, or take another engine")
    processes.adopt()
    checked = mounts.checked(wanted["mounts"])
    mine, job = place / f"images-{os.getuid()}", place / os.environ["SLURM_JOB_ID"]
    with images.lock(mine / "lock"):
        _prepare(wanted, _store(mine), _environment(mine))
    order = {
        "wanted": wanted,
        "user": f"{os.getuid()}:{os.getgid()}",
        "known": binding.identities(checked),
        "store": [*_store(job), f"--storage-opt={places.podman_driver()}.imagestore={mine}/store"],
    }
    ours = (sys.executable, "-I", "-c", places.ENTRY, "podman")
    line = [PROGRAM, "--log-level=error", "unshare", *ours]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, env=_environment(job))
    assert process.stdin is not None  # noqa: S101
    with process.stdin as stream:
        stream.write(json.dumps(order).encode())
    return process


def _store(folder: Path) -> list[str]:
    """Return the options by which Podman keeps everything in this folder, and nothing in the home."""
    places_of = {"root": "store", "runroot": "run", "tmpdir": "tmp"}
    driver = f"--storage-driver={places.podman_driver()}"
    return ["--log-level=error", driver, *(f"--{option}={folder}/{name}" for option, name in places_of.items())]


def _environment(folder: Path) -> dict[str, str]:
    settings = folder / "containers.conf"
    settings.write_text(_SETTINGS)
    own = dict.fromkeys(
        ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"), str(folder)
    )
    return {**os.environ, **own, "CONTAINERS_CONF": str(settings)}


def inside() -> int:
    """Bind what was checked, and become the container's starter."""
    order = json.load(sys.stdin)
    wanted = order["wanted"]
    scratch = places.scratch(os.environ["SLURM_JOB_ID"])
    pairs = [(str(scratch / "tmp"), "/tmp")]  # noqa: S108
    if wanted["mounts"]:
        binding.enter_mounts()
        pairs += binding.bind(wanted["mounts"], order["known"], scratch / "mounts")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execv(PROGRAM, command_line(wanted, pairs, order["user"], order["store"]))  # noqa: S606


def command_line(wanted: dict[str, Any], pairs: list[tuple[str, str]], user: str, store: list[str]) -> list[str]:
    """Return the command line of the container, which stays in the control group that it is started in.

    Podman can be told so only in version 2; in version 1 it cannot do otherwise.
    """
    stays = "--cgroups=disabled" if _version_2() else "--pid=host"
    entry = wanted["entrypoint"]
    return [
        *(PROGRAM, *store, "run", "--rm", stays, *_RIGHTS, f"--user={user}"),
        *(f"--volume={source}:{target}" for source, target in pairs),
        *(f"--env={name}={value}" for name, value in wanted["variables"].items()),
        *((f"--workdir={wanted['directory']}",) if wanted["directory"] else ()),
        *((f"--entrypoint={entry}",) if entry is not None else ()),
        f"{wanted['container']}:latest",
        *wanted["command"],
    ]


def _version_2() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def tell(process: subprocess.Popen[bytes], number: int) -> None:  # noqa: ARG001 - as all engines
    """Send a signal to the container's program."""
    processes.signal_all(processes.program(os.getpid(), wrapped=False), number)


def _prepare(wanted: dict[str, Any], store: list[str], environment: dict[str, str]) -> None:
    name = f"{wanted['container']}:latest"

    def ask(*words: str) -> str:
        line = [PROGRAM, *store, *words]
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            told = [line for line in done.stderr.splitlines() if line.strip()]
            raise BatchError(f"the image cannot be prepared: {told[-1] if told else f'podman {words[0]} failed'}")
        return done.stdout.strip()

    archive = images.kept(wanted["container"])
    if archive is None:
        raise BatchError("the image was removed", f"im-batch run {wanted['image']} again")
    there = ask("images", "--format={{.Repository}}:{{.Tag}}").replace("localhost/", "").split()
    for gone in set(there).difference(f"{each}:latest" for each in images.all_kept()):
        ask("rmi", "--force", gone)
    if name in there:
        return
    if images.is_image(archive):
        loaded = ask("load", "--quiet", f"--input={archive}").splitlines()[-1].split(": ")[-1]
        ask("tag", loaded, name)
        if not loaded.startswith("sha256:"):
            ask("untag", name, loaded)
    else:
        ask("import", str(archive), name)
