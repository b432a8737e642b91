"""A template's file and the user's inputs to a :class:`~im.topology.model.Topology`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from im.sources.artifacts import Locator
from im.sources.cache import Cache, digest
from im.sources.codec import Parsed
from im.sources.files import Refused, Source, Sources, file_digest, read_bytes
from im.sources.given import read_inputs
from im.sources.imports import Reader, read_documents
from im.sources.read import NO_CACHE, normative_documents, read_yaml
from im.topology import library
from im.topology.build import build
from im.topology.findings import Findings
from im.topology.model import Finding, Topology
from im.topology.question import Question
from im.topology.software import Located

__all__ = ["load", "read_inputs"]

NO_MAP: Final[Mapping[str, Path]] = MappingProxyType({})


def load(
    template: Path, inputs: Mapping[str, object], *, import_map: Mapping[str, Path] = NO_MAP, cache: Path | None = None
) -> Topology:
    """Return the topology that ``template`` describes with ``inputs``.

    ``import_map`` maps prefixes of imports (URLs) to folders; nothing is fetched from a network. ``cache`` is
    a folder for what was parsed before. Raises :class:`im.errors.TemplateError` with all findings; warnings
    are in ``Topology.warnings``.
    """
    sources = Sources(template, import_map)
    kept = Cache(cache)
    key = _key(sources, inputs, import_map) if cache is not None else ""
    known = kept.topology(key, lambda made_of: _still_holds(made_of, sources)) if key else None
    if known is not None:
        return known
    topology, made_of = _build(sources, inputs, kept)
    if key:
        kept.keep(key, topology, made_of)
    return topology


def _key(sources: Sources, inputs: Mapping[str, object], import_map: Mapping[str, Path]) -> str:
    """Return what a topology depends on that is known before anything is parsed."""
    content = read_bytes(sources.template.path)
    given = json.dumps([inputs, sorted((prefix, str(path)) for prefix, path in import_map.items())], default=str)
    return (
        ""
        if isinstance(content, Refused)
        else digest(b"topology", sources.template.name.encode(), content, given.encode())
    )


def _build(sources: Sources, inputs: Mapping[str, object], cache: Cache) -> tuple[Topology, dict[str, object]]:
    """Return the topology, and the files and implementations that it was made of."""
    findings = Findings()
    documents, by_name = read_documents(sources, _reader(sources, cache), findings)
    if not documents[0].root:
        findings.stop()
    locator = Locator(sources, by_name)

    def judge(asked: Question) -> tuple[Finding, ...]:
        return cache.verdict([asked.template, asked.inputs], lambda: library.judge(asked))

    topology = build([*documents, *normative_documents()], inputs, locate=locator, judge=judge, found=findings.all)
    files = [[name, str(source.path), file_digest(source.path)] for name, source in by_name.items()]
    return topology, {"files": files, "located": [[*asked, *answer] for asked, answer in locator.found.items()]}


def _still_holds(made_of: Mapping[str, Any], sources: Sources) -> bool:
    """Tell whether the files are the same, byte for byte, and the implementations where they were."""
    if any(file_digest(Path(path)) != known for _, path, known in made_of["files"]):
        return False
    locator = Locator(sources, {name: Source(Path(path), name) for name, path, _ in made_of["files"]})
    return all(locator(reference, file) == Located(*answer) for reference, file, *answer in made_of["located"])


def _reader(sources: Sources, cache: Cache) -> Reader:
    """Return what reads files: the template itself always anew, what it imports through the cache."""

    def read(source: Source) -> Parsed:
        return read_yaml(source, NO_CACHE if source is sources.template else cache)

    return read
