"""A template's file and the user's inputs to a :class:`~im.topology.model.Topology`."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from im.config import default_home
from im.data_files import data_folder
from im.errors import TemplateError
from im.sources.archive import MAX_PACKED, is_archive, unpack
from im.sources.artifacts import Locator
from im.sources.cache import Cache, digest
from im.sources.chance import chance_of
from im.sources.codec import Parsed, decode_value
from im.sources.fetch import Web
from im.sources.files import Refused, Source, Sources, file_digest, read_bytes
from im.sources.galaxy import SERVER, Galaxy
from im.sources.given import read_inputs
from im.sources.imports import Reader, read_documents
from im.sources.read import NO_CACHE, normative_documents, read_yaml
from im.topology import library
from im.topology.build import build
from im.topology.dialect import Dialect
from im.topology.document import Map
from im.topology.findings import Findings
from im.topology.galaxy import FoundRole, WantedRole
from im.topology.model import Finding, Mark, Topology
from im.topology.question import Question
from im.topology.software import Located
from im.topology.types import Types

__all__ = ["Reading", "load", "read_inputs"]

NO_MAP: Final[Mapping[str, Path]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reading:
    """How templates are read.

    ``import_map`` maps prefixes of imports (URLs) to folders. ``hosts`` may be fetched from: none, if it is empty.
    ``cache`` is a folder for what was parsed before, ``home`` one for what must stay: copies of what was fetched and
    unpacked, and the secret behind ``random()``. ``dialect``: ``tosca`` is strict, ``im`` tolerates what IM does,
    ``auto`` finds out by the types in use. ``galaxy`` is the server that knows roles of Ansible.
    """

    import_map: Mapping[str, Path] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    cache: Path | None = None
    home: Path | None = None
    dialect: Dialect = "auto"
    galaxy: str = SERVER

    @property
    def folder(self) -> Path:
        """Where copies are kept."""
        return (self.home or default_home()) / "templates"


def load(
    template: Path,
    inputs: Mapping[str, object],
    reading: Reading | None = None,
    *,
    import_map: Mapping[str, Path] = NO_MAP,
    cache: Path | None = None,
) -> Topology:
    """Return the topology that ``template`` (a file, or an archive with all its files) describes with ``inputs``.

    ``import_map`` and ``cache`` are short for a ``reading`` that only has these. Raises
    :class:`im.errors.TemplateError` with all findings; warnings are in ``Topology.warnings``.
    """
    reading = reading or Reading(import_map, cache=cache)
    sources = sources_of(template, reading)
    kept = Cache(reading.cache)
    key = _key(sources, inputs, reading) if reading.cache is not None else ""
    known = kept.topology(key, lambda made_of: _still_holds(made_of, sources, reading)) if key else None
    if known is not None:
        return known
    with _without_collector():
        topology, made_of = _build(sources, inputs, kept, reading)
    if key:
        kept.keep(key, topology, made_of)
    return topology


@contextmanager
def _without_collector() -> Iterator[None]:
    """Leave out the search for cyclic garbage: reading makes many values and hardly any garbage.

    In a template of 10,000 nodes the search takes a third of the time, and more of it the larger the template is.
    """
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def read_types(template: Path | None, reading: Reading) -> tuple[Map, Types]:
    """Return what a template's file says (with its base below it) and all types that it may use.

    Without a template: ours. Nothing is asked of its inputs or nodes. Raises ``TemplateError`` where it cannot be read.
    """
    sources = sources_of(template or data_folder("tosca_templates") / "types" / "types.yaml", reading)
    findings = Findings()
    documents, _ = read_documents(sources, _reader(sources, Cache(reading.cache)), findings)
    findings.stop()
    return documents[0].root, Types([*documents, *normative_documents()], Findings())


def sources_of(template: Path, reading: Reading) -> Sources:
    """Return where the files of a template come from. Raises ``TemplateError`` for an archive that cannot be used."""
    web = _web(reading)
    if not is_archive(template):
        return Sources(template, reading.import_map, web)
    unpacked = unpack(template, reading.folder / "unpacked")
    if isinstance(unpacked, Refused):
        raise TemplateError((Finding(Mark(str(template)), "import", unpacked.problem, unpacked.hint),))
    return Sources(unpacked.template, reading.import_map, web, (unpacked.folder, str(template)))


def _web(reading: Reading) -> Web:
    return Web(reading.hosts, reading.folder / "fetched")


def _galaxy(sources: Sources, reading: Reading) -> Galaxy:
    web = replace(_web(reading), max_bytes=MAX_PACKED)
    return Galaxy(sources, web, reading.galaxy, reading.folder / "roles")


def _key(sources: Sources, inputs: Mapping[str, object], reading: Reading) -> str:
    """Return what a topology depends on that is known before anything is parsed."""
    content = read_bytes(sources.template.path)
    folders = sorted((prefix, str(path)) for prefix, path in reading.import_map.items())
    given = json.dumps(
        [inputs, folders, reading.hosts, str(reading.home), reading.dialect, reading.galaxy], default=str
    )
    if isinstance(content, Refused):
        return ""
    return digest(b"topology", sources.template.name.encode(), content, given.encode())


def _build(
    sources: Sources, inputs: Mapping[str, object], cache: Cache, reading: Reading
) -> tuple[Topology, dict[str, object]]:
    """Return the topology, and the files and implementations that it was made of."""
    findings = Findings()
    documents, by_name = read_documents(sources, _reader(sources, cache), findings)
    if not documents[0].root:
        findings.stop()
    locator, galaxy = Locator(sources, by_name), _galaxy(sources, reading)

    def judge(asked: Question) -> tuple[Finding, ...]:
        return cache.verdict([asked.template, asked.inputs], lambda: library.judge(asked))

    everything = [*documents, *normative_documents()]
    topology = build(
        everything,
        inputs,
        locate=locator,
        find_role=galaxy,
        judge=judge,
        found=findings.all,
        dialect=reading.dialect,
        chance=chance_of(reading.home, sources.template.name),
    )
    files = [[source.name, str(source.path), source.url, file_digest(source.path)] for source in by_name.values()]
    located = [[*asked, *answer] for asked, answer in locator.found.items()]
    roles = [[asdict(wanted), beside, asdict(found)] for wanted, beside, found in galaxy.found]
    return topology, {"files": files, "located": located, "roles": roles}


def _still_holds(made_of: Mapping[str, Any], sources: Sources, reading: Reading) -> bool:
    """Tell whether the files are the same, byte for byte, and the implementations and roles where they were."""
    if any(file_digest(Path(path)) != known for _, path, _, known in made_of["files"]):
        return False
    locator = Locator(sources, {name: Source(Path(path), name, url) for name, path, url, _ in made_of["files"]})
    if any(locator(reference, file) != Located(*answer) for reference, file, *answer in made_of["located"]):
        return False
    galaxy = _galaxy(sources, reading)
    return all(
        galaxy(WantedRole(**wanted), beside) == decode_value(FoundRole, found)
        for wanted, beside, found in made_of["roles"]
    )


def _reader(sources: Sources, cache: Cache) -> Reader:
    """Return what reads files: the template itself always anew, what it imports through the cache."""

    def read(source: Source) -> Parsed:
        return read_yaml(source, NO_CACHE if source is sources.template else cache)

    return read
