"""What ``im-batch`` on the front-end is asked, as command lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PROGRAM = "im-batch"


@dataclass(frozen=True, slots=True)
class Container:
    """One container as its user wants it.

    ``image``: an archive file of this machine, or a registry's name. ``mounts``: ``SOURCE:TARGET[:ro]``, both on the
    nodes. ``memory``: ``512m``, ``2g``; ``time``: minutes, or ``days-hours:minutes:seconds``; "" = its own.
    """

    image: str
    command: tuple[str, ...] = ()
    engine: str = "udocker"
    name: str = ""
    entrypoint: str | None = None
    directory: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    cpus: int = 1
    memory: str = ""
    time: str = ""


def submission(container: Container, prepared: str) -> list[str]:
    """Return the words that submit; ``prepared`` names what was made of the image already."""
    options = {
        "--engine": container.engine,
        "--name": container.name,
        "--workdir": container.directory,
        "--memory": container.memory,
        "--time": container.time,
        "--prepared": prepared,
    }
    return [
        PROGRAM,
        "submit",
        *(f"{option}={value}" for option, value in options.items() if value),
        *(() if container.entrypoint is None else (f"--entrypoint={container.entrypoint}",)),
        f"--cpus={container.cpus}",
        *(f"--env={name}={value}" for name, value in container.variables.items()),
        *(f"--volume={mount}" for mount in container.mounts),
        "--",
        container.image,
        *container.command,
    ]
