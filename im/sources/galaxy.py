"""Finds roles of Ansible Galaxy: beside the playbook, in a folder of the import map, on the web.

They are only read and kept here: what is in them runs on the sub-cluster. So the client needs neither Ansible nor git,
and what a stranger's template names is fetched like its imports, from hosts that the settings allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from im.sources.fetch import Web
from im.sources.files import Refused, Source, Sources
from im.sources.read import read_yaml
from im.sources.tarball import is_role, unpack_role
from im.topology.document import Map, Seq
from im.topology.galaxy import FoundRole, WantedRole, needed_role

PREFIX: Final = "galaxy"
"""What the import map knows roles of Galaxy by: ``galaxy/OWNER.NAME``."""
SERVER: Final = "https://galaxy.ansible.com"
_OWNED: Final = re.compile(r"([\w.-]+)\.([\w-]+)", re.ASCII)
_VERSION: Final = re.compile(r"[\w.+/-]*", re.ASCII)
_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar")
_DEPENDENCIES: Final = ("meta/main.yml", "meta/main.yaml", "meta/requirements.yml", "meta/requirements.yaml")
_FOUND_BY_DIGIT: Final = re.compile(r"(\d+)")


class Galaxy:
    """Finds the roles of one template.

    ``server`` speaks the first version of Galaxy's interface, the only one that knows roles. ``folder`` is where
    archives are unpacked.
    """

    def __init__(self, sources: Sources, web: Web, server: str, folder: Path) -> None:
        self._sources = sources
        self._web = web
        self._server = server.rstrip("/")
        self._folder = folder
        self.found: list[tuple[WantedRole, tuple[str, ...], FoundRole]] = []

    def __call__(self, wanted: WantedRole, beside: Sequence[str]) -> FoundRole:
        """Return where a role is, and what it needs."""
        folder = self._beside(wanted, beside) or self._mapped(wanted) or self._fetched(wanted)
        found = _refusal(folder) if isinstance(folder, Refused) else FoundRole(str(folder), _needs(folder))
        self.found.append((wanted, tuple(beside), found))
        return found

    def _beside(self, wanted: WantedRole, beside: Sequence[str]) -> Path | None:
        return next((role for one in beside if is_role(role := Path(one) / "roles" / wanted.name)), None)

    def _mapped(self, wanted: WantedRole) -> Path | Refused | None:
        source = wanted.source.removeprefix("git+")
        folder = self._sources.folder(source if "://" in source else f"{PREFIX}/{source}")
        if folder is None or isinstance(folder, Refused) or is_role(folder):
            return folder
        return Refused(f"'{folder}' holds no role (a folder with tasks/ or meta/)", "see import_map in the settings")

    def _fetched(self, wanted: WantedRole) -> Path | Refused:
        if not _VERSION.fullmatch(wanted.version) or ".." in wanted.version:
            return Refused(f"'{wanted.version}' is no version")
        address = archive_of(wanted) if "://" in wanted.source else self._looked_up(wanted)
        if isinstance(address, Refused):
            return address
        archive = self._web.find(f"{address}#sha256={wanted.checksum}" if wanted.checksum else address)
        return archive if isinstance(archive, Refused) else unpack_role(archive.path, self._folder)

    def _looked_up(self, wanted: WantedRole) -> str | Refused:
        """Ask Galaxy where a role's archive is."""
        owned = _OWNED.fullmatch(wanted.source)
        if owned is None:
            return Refused(f"'{wanted.source}' is no role of Ansible Galaxy", "OWNER.NAME,VERSION")
        if self._web.refused(self._server) is not None:
            host = urlsplit(self._server).hostname
            hint = f"map {PREFIX}/{wanted.source} to its folder (import_map), or allow the host {host} (import_hosts)"
            return Refused("Ansible Galaxy is not asked", hint)
        roles = self._results(f"/api/v1/roles/?owner__username={quote(owned[1])}&name={quote(owned[2])}")
        if isinstance(roles, Refused):
            return roles
        if not roles:
            return Refused(f"Ansible Galaxy knows no '{wanted.source}'")
        versions = self._results(f"/api/v1/roles/{quote(str(roles[0].get('id')))}/versions/")
        if isinstance(versions, Refused):
            return versions
        return _archive_on_galaxy(wanted, roles[0], versions)

    def _results(self, path: str) -> list[Mapping[str, Any]] | Refused:
        answer = self._web.find(self._server + path)
        if isinstance(answer, Refused):
            return answer
        try:
            return [one for one in json.loads(answer.path.read_bytes())["results"] if isinstance(one, dict)]
        except (ValueError, KeyError, TypeError, RecursionError):
            return Refused(f"what '{answer.url}' answers is not Galaxy's list of roles")


def archive_of(wanted: WantedRole) -> str | Refused:
    """Return the address of the archive of a role that is named by an address: archives, and repositories of forges."""
    source = wanted.source.removeprefix("git+")
    try:
        url = urlsplit(source)
    except ValueError:
        return Refused(f"'{source}' is no address")
    if url.path.endswith(_ARCHIVES):
        return source
    repository = source.partition("#")[0].rstrip("/").removesuffix(".git")
    version = quote(wanted.version or "HEAD")
    host = url.hostname or ""
    if host == "github.com":
        return f"{repository}/archive/{version}.tar.gz"
    if host.startswith("gitlab."):
        return f"{repository}/-/archive/{version}/{wanted.name}.tar.gz"
    return Refused(f"'{source}' is no archive", f"name an archive ({_ARCHIVES[0]}), or map the address to a folder")


def _archive_on_galaxy(
    wanted: WantedRole, role: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]
) -> str | Refused:
    """Return the archive of the version that is wanted; without one, of the newest, else of the main branch."""
    known = {str(one.get("name")): str(one.get("download_url") or "") for one in versions}
    version = wanted.version or (max(known, key=_by_number) if known else str(role.get("github_branch") or "master"))
    user, repository = role.get("github_user"), role.get("github_repo")
    if known.get(version):
        return known[version]
    if not user or not repository:
        return Refused(f"Ansible Galaxy does not say where '{wanted.source}' is")
    return f"https://github.com/{quote(str(user))}/{quote(str(repository))}/archive/{quote(version)}.tar.gz"


def _by_number(version: str) -> list[tuple[int, str]]:
    """Order ``1.10`` after ``1.9``, and what is no number before all numbers."""
    parts = _FOUND_BY_DIGIT.findall(version)
    return [(int(part), "") for part in parts] or [(-1, version)]


def _refusal(refused: Refused) -> FoundRole:
    return FoundRole(problem=refused.problem, hint=refused.hint)


def _needs(role: Path) -> tuple[WantedRole, ...]:
    """Return the roles that a role lists as its dependencies."""
    needs: list[WantedRole] = []
    for name in _DEPENDENCIES:
        if (role / name).is_file():
            value, _ = read_yaml(Source(role / name, name))
            listed = value.get("dependencies") if isinstance(value, Map) else value
            needs += [need for item in listed if (need := needed_role(item))] if isinstance(listed, Seq) else []
    return tuple(needs)
