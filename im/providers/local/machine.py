"""What all infrastructures of a machine share, whatever their ``IM_HOME``: who is here, and what must be put back.

Forwarding is switched on for the uplink only, not for the whole machine, and controllers of control groups version 2
are handed down from the root where they are not. The values from before are kept in one file below ``/run``, with the
infrastructures that need the change; the last one to leave puts them back and removes the file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from im.providers.local.cgroups import HANDED_DOWN, Hierarchy
from im.providers.local.files import write_atomically
from im.providers.local.locks import locked
from im.providers.local.processes import boot_id

RUNTIME = Path("/run/im-local")
SYSCTL = Path("/proc/sys/net/ipv4")


@contextmanager
def machine_lock(runtime: Path | None = None) -> Iterator[None]:
    """Hold the lock under which subnets are chosen and the machine's settings change."""
    with locked((runtime or RUNTIME) / "lock"):
        yield


def enter(infrastructure: str, uplinks: tuple[str, ...], hierarchies: tuple[Hierarchy, ...]) -> None:
    """Note that an infrastructure needs the machine's settings, and change them. Needs the machine lock."""
    record = _read()
    record["users"] = sorted({*record["users"], infrastructure})
    for name in uplinks:
        record["forwarding"].setdefault(name, _forwarding(name))
    for one in hierarchies:
        if one.version == 2:
            added = record["controllers"].setdefault(str(one.mount), [])
            added += [name for name in _not_handed_down(one) if name not in added]
    _write(record)
    for name in uplinks:
        _set_forwarding(name, "1")
    for mount, names in record["controllers"].items():
        _hand_down(mount, "+", names)


def leave(infrastructure: str) -> None:
    """Forget an infrastructure; after the last one put everything back. Needs the machine lock."""
    record = _read()
    if infrastructure in record["users"]:
        record["users"].remove(infrastructure)
        _write(record)
    if record["users"]:
        return
    if record["whole"] == _forwarding("all"):  # else somebody switched it for the whole machine meanwhile: theirs
        for name, value in record["forwarding"].items():
            _set_forwarding(name, value)
    for mount, names in record["controllers"].items():
        _hand_down(mount, "-", names)
    shutil.rmtree(RUNTIME, ignore_errors=True)


def _read() -> dict[str, Any]:
    with suppress(FileNotFoundError, json.JSONDecodeError):
        record: dict[str, Any] = json.loads((RUNTIME / "machine.json").read_text())
        if record["boot"] == boot_id():
            return record
    return {"boot": boot_id(), "users": [], "whole": _forwarding("all"), "forwarding": {}, "controllers": {}}


def _write(record: dict[str, Any]) -> None:
    RUNTIME.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(RUNTIME / "machine.json", json.dumps(record))


def _forwarding(link: str) -> str:
    return (SYSCTL / "conf" / link / "forwarding").read_text().strip()


def _set_forwarding(link: str, value: str) -> None:
    with suppress(FileNotFoundError):
        file = SYSCTL / "conf" / link / "forwarding"
        if file.read_text().strip() != value:
            file.write_text(value)


def _not_handed_down(hierarchy: Hierarchy) -> list[str]:
    with suppress(OSError):
        active = (hierarchy.mount / "cgroup.subtree_control").read_text().split()
        return [name for name in HANDED_DOWN if name in hierarchy.controllers and name not in active]
    return []


def _hand_down(mount: str, sign: str, names: list[str]) -> None:
    for name in names:
        with suppress(OSError):
            Path(mount, "cgroup.subtree_control").write_text(f"{sign}{name}")
