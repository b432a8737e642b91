"""Roles of Ansible Galaxy: which of them a template's playbooks use, and what each of these needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from im.topology.document import Map, as_map
from im.topology.world import World, text_of

if TYPE_CHECKING:
    from im.topology.model import Mark, Software

ROLE: Final = "tosca.artifacts.AnsibleGalaxy.role"
CODE: Final = "galaxy"
MAX_ROLES: Final = 64
_ANY: Final = "tosca.artifacts.AnsibleGalaxy"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_ENDING: Final = re.compile(r"(\.git|\.tar\.gz|\.tgz|\.tar)$")
_SHA256: Final = frozenset(("", "sha256", "sha-256"))


@dataclass(frozen=True, slots=True)
class WantedRole:
    """A role as a template names it. ``source`` is OWNER.NAME or an address; ``checksum`` is a SHA-256."""

    name: str
    source: str
    version: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class FoundRole:
    """The folder of a role and the roles that it needs itself; ``problem`` says why it cannot be had."""

    path: str = ""
    needs: tuple[WantedRole, ...] = ()
    problem: str = ""
    hint: str = ""


FindRole = Callable[[WantedRole, Sequence[str]], FoundRole]
"""Finds a role; the folders are those of the playbooks that use it, where it may lie in ``roles/``."""


def no_role(wanted: WantedRole, _beside: Sequence[str]) -> FoundRole:
    """Find no role at all."""
    return FoundRole(problem=f"'{wanted.source}' is not looked for")


def wanted_role(text: str, checksum: str = "") -> WantedRole:
    """Return the role that ``OWNER.NAME,VERSION``, ``ADDRESS,VERSION`` or either with ``|NAME`` at its end means."""
    place, _, alias = text.partition("|")
    source, version, other = [*(part.strip() for part in place.split(",")), "", ""][:3]
    return WantedRole(alias.strip() or other or _own_name(source), source, version, checksum)


def needed_role(item: object) -> WantedRole | None:
    """Return the role that an entry of a role's ``dependencies`` means; None for one that is not of Galaxy."""
    content = item if isinstance(item, Map) else Map("")
    source = item if isinstance(item, str) else text_of(content.get("src") or content.get("role") or "")
    if not source and isinstance(item, Map):
        source = text_of(item.get("name"))
    if "://" not in source and source.partition(",")[0].count(".") != 1:
        return None
    if content.get("scm") == "git" and not source.startswith("git+"):
        source = f"git+{source}"
    wanted = wanted_role(source)
    name = text_of(content.get("name")) if content.get("src") or content.get("role") else ""
    return WantedRole(name or wanted.name, wanted.source, text_of(content.get("version")) or wanted.version)


def _own_name(source: str) -> str:
    if "://" not in source:
        return source
    return _ENDING.sub("", re.split(r"[?#]", source)[0].rstrip("/").rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class _Asked:
    """A role, who asks for it and where."""

    wanted: WantedRole
    who: str
    beside: tuple[str, ...]
    mark: Mark


def read_roles(world: World, software: Sequence[Software], find: FindRole) -> dict[str, str]:
    """Return the folders of all roles that playbooks use, by name; what cannot be had has none, and is a warning."""
    waiting = [asked for one in software for asked in _asked_by(world, one)]
    chosen: dict[str, WantedRole] = {}
    folders: dict[str, str] = {}
    while waiting:
        asked = waiting.pop(0)
        wanted = asked.wanted
        known = chosen.setdefault(wanted.name, wanted)
        if known is not wanted:
            _warn_of_two(world, asked, known)
            continue
        found = _find(asked, find) if len(chosen) <= MAX_ROLES else FoundRole(problem=f"there are over {MAX_ROLES}")
        if found.problem:
            message = f"the role '{wanted.name}' of '{asked.who}' cannot be had: {found.problem}"
            world.findings.warning(asked.mark, CODE, message, found.hint)
        folders[wanted.name] = found.path
        waiting += [_Asked(need, wanted.name, asked.beside, asked.mark) for need in found.needs]
    return folders


def _asked_by(world: World, software: Software) -> list[_Asked]:
    node = world.nodes[software.name]
    books = [one.implementation for one in software.operations if one.kind == "playbook"]
    beside = tuple(dict.fromkeys(str(PurePosixPath(book).parent) for book in books))
    asked = []
    for name, body in node.artifacts.items():
        content, mark = as_map(body), node.artifacts.key_mark(name)
        kind, file = str(content.get("type", "")), text_of(content.get("file"))
        if world.types.derives("artifact", kind, ROLE) and file:
            asked.append(_Asked(wanted_role(file, _checksum(world, content)), node.name, beside, mark))
        elif kind.startswith(_ANY):
            message = f"'{node.name}' uses '{file}' of Ansible Galaxy, and im only knows roles"
            world.findings.warning(mark, CODE, message, "make it a role, or put its modules beside the playbook")
    return asked


def _checksum(world: World, artifact: Map) -> str:
    """Return the checksum of an artifact, as TOSCA 1.3 has it; one that we cannot hold against it is said."""
    checksum, algorithm = text_of(artifact.get("checksum")), text_of(artifact.get("checksum_algorithm"))
    if checksum and algorithm.lower() not in _SHA256:
        mark = artifact.value_mark("checksum_algorithm")
        world.findings.warning(mark, "ignored", f"a checksum by {algorithm} is not checked", "use SHA-256")
        return ""
    return checksum.lower()


def _find(asked: _Asked, find: FindRole) -> FoundRole:
    wanted = asked.wanted
    if not _NAME.fullmatch(wanted.name):
        return FoundRole(problem="this is no name of a role", hint="OWNER.NAME,VERSION or ADDRESS,VERSION|NAME")
    return find(wanted, asked.beside)


def _warn_of_two(world: World, asked: _Asked, known: WantedRole) -> None:
    wanted = asked.wanted
    if (wanted.source, wanted.version, wanted.checksum) != (known.source, known.version, known.checksum):
        first, second = (f"{one.source},{one.version}".rstrip(",") for one in (known, wanted))
        message = f"'{first}' is taken for '{second}', which '{asked.who}' uses: one sub-cluster has one role of a name"
        world.findings.warning(asked.mark, "ignored", message)
