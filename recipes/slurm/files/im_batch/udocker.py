"""udocker: a container without any privilege, in the user's home, made once."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from im_batch import binding, mounts, places, processes
from im_batch.faults import BatchError
from im_batch.places import home

WAIT = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
"""A shell of the image waits for the program: proot would turn every signal that ends a program into exit code 255."""
BELOW_US = True


def start(wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Check and bind the mounts, and start the container. Raises :class:`BatchError`."""
    processes.give_up_privileges()
    scratch = places.scratch(os.environ["SLURM_JOB_ID"])
    pairs = [(str(scratch / "tmp"), "/tmp")]  # noqa: S108
    if wanted["mounts"]:
        checked = mounts.checked(wanted["mounts"])
        binding.enter()
        pairs += binding.bind(wanted["mounts"], binding.identities(checked), scratch / "mounts")
    name = wanted["container"]
    config = configuration(name)
    own = dict(text.split("=", 1) for text in config.get("Env") or [] if "=" in text)
    line = command_line(
        name,
        program(config, wanted["command"], wanted["entrypoint"]),
        mounts=pairs,
        variables={**own, **wanted["variables"]},
        directory=wanted["directory"] or str(config.get("WorkingDir") or "/"),
    )
    # udocker would make it, and give up if another job with this image does so at the same moment.
    (container_folder(name) / ".mountpoints").mkdir(exist_ok=True)
    return subprocess.Popen(line, stdin=subprocess.DEVNULL)


def tell(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the container's program."""
    words = process.args if isinstance(process.args, list) else []
    at = words.index("/bin/sh") if "/bin/sh" in words else len(words)
    processes.signal_all(processes.program(process.pid, wrapped=tuple(words[at : at + 4]) == WAIT), number)


def container_folder(container: str) -> Path:
    """Return where udocker keeps a container of this user."""
    return Path(os.environ.get("UDOCKER_DIR") or home() / ".udocker") / "containers" / container


def configuration(container: str) -> dict[str, Any]:
    """Return what the image says of its program, variables and folder. Raises :class:`BatchError`."""
    try:
        known = json.loads((container_folder(container) / "container.json").read_text())
    except (OSError, ValueError):
        raise BatchError(f"there is no container {container}", "prepare its image again") from None
    found = known.get("config") or known.get("Config") or {}
    return found if isinstance(found, dict) else {}


def program(config: dict[str, Any], command: list[str], entrypoint: str | None) -> list[str]:
    """Return the words that run, as Docker decides: the entry point, then the command or the image's own."""
    own_entry = _words(config.get("Entrypoint"))
    entry = own_entry if entrypoint is None else _words(entrypoint)
    tail = command or ([] if entrypoint is not None else _words(config.get("Cmd")))
    if not entry + tail:
        raise BatchError("the image names no program", "give one after the image")
    return entry + tail


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return ["/bin/sh", "-c", value] if " " in value else [value] if value else []
    return [str(word) for word in value] if isinstance(value, list) else []


def command_line(
    container: str, words: list[str], *, mounts: list[tuple[str, str]], variables: dict[str, str], directory: str
) -> list[str]:
    """Return the command line of the container; ``mounts`` are pairs of source and target."""
    shell = container_folder(container) / "ROOT" / "bin" / "sh"
    has_shell = shell.exists() or shell.is_symlink()
    return [
        *("udocker", "-q", "run", "--nobanner", "--entrypoint=", "--hostauth"),
        f"--user={pwd.getpwuid(os.getuid()).pw_name}",
        *(f"--volume={source}:{target}" for source, target in mounts),
        *(f"--env={name}={value}" for name, value in variables.items()),
        f"--workdir={directory}",
        container,
        *(WAIT if has_shell else ()),
        *words,
    ]
