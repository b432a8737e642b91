"""Accounts at registries, as `docker login` and `podman login` keep them on this machine.

They go to a node by standard input, and stay there no longer than the pull takes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from im.errors import InputError

HUB = "https://index.docker.io/v1/"


def files() -> list[Path]:
    """Return where accounts may be kept, the first to be asked first."""
    named = os.environ.get("REGISTRY_AUTH_FILE")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    docker = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    podman = [Path(runtime) / "containers" / "auth.json"] if runtime else []
    return [Path(named)] if named else [*podman, docker]


def registry_of(reference: str) -> str:
    """Return the host of the registry that holds an image.

    >>> registry_of("http://10.0.0.1:5000/lab/mpi:1"), registry_of("debian:12")
    ('10.0.0.1:5000', 'docker.io')
    """
    scheme, _, rest = reference.rpartition("://")
    host, slash, _ = rest.partition("/")
    return host if slash and (scheme or "." in host or ":" in host or host == "localhost") else "docker.io"


def account(reference: str) -> str:
    """Return ``user:password`` in base64 for the registry of an image; "" if there is no account.

    Raises :class:`im.errors.InputError` for a file that cannot be understood.
    """
    host = registry_of(reference)
    wanted = {host, f"https://{host}", f"http://{host}"} | ({HUB} if host == "docker.io" else set())
    for path in files():
        known = _accounts(path)
        for name, entry in known.items():
            if name.rstrip("/") in wanted or name in wanted:
                return str(entry.get("auth") or "")
    return ""


def _accounts(path: Path) -> dict[str, dict[str, str]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8")).get("auths", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError("the accounts at registries cannot be read", where=str(path), hint=str(error)) from error
    return {str(name): entry for name, entry in known.items() if isinstance(entry, dict)}
