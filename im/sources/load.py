"""A template's file and the user's inputs to a :class:`~im.topology.model.Topology`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from im.data_files import data_folder
from im.errors import InputError
from im.sources.artifacts import Locator
from im.sources.cache import Cache, digest
from im.sources.codec import Parsed
from im.sources.files import Refused, Source, Sources, file_digest, read_bytes
from im.sources.imports import Reader, read_documents
from im.topology import library
from im.topology.build import build
from im.topology.document import Document, Map
from im.topology.findings import Findings
from im.topology.library import Question
from im.topology.model import Finding, Mark, Topology
from im.topology.reader import parse, plain_value
from im.topology.software import Located

NO_CACHE: Final = Cache(None)
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

    topology = build([*documents, *_normative()], inputs, locate=locator, judge=judge, found=findings.all)
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
        return _read(source, NO_CACHE if source is sources.template else cache)

    return read


def _read(source: Source, cache: Cache = NO_CACHE) -> Parsed:
    content = read_bytes(source.path)
    if isinstance(content, Refused):
        return None, (Finding(Mark(source.name), "import", content.problem, content.hint),)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, (Finding(Mark(source.name, line), "yaml", "the file is not UTF-8 text"),)
    return cache.document(content, source.name, lambda: parse(text, source.name))


@lru_cache(maxsize=1)
def _normative() -> tuple[Document, ...]:
    """Return TOSCA's own types.

    They are read as tosca-parser ships them (found without its costly import); ours are what it leaves out.
    """
    spec = find_spec("toscaparser")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    paths = [path for folder in folders for path in sorted(folder.glob("elements/TOSCA_definition*.yaml"))]
    paths.append(data_folder("tosca_templates") / "types" / "normative.yaml")
    documents = []
    for path in paths:
        value, _ = _read(Source(path, path.name))
        documents.append(Document(path.name, value if isinstance(value, Map) else Map(path.name), "normative"))
    return tuple(documents)


def read_inputs(pairs: Sequence[str], files: Sequence[Path]) -> dict[str, object]:
    """Return inputs from YAML ``files`` and from ``name=value`` pairs, whose values are read as YAML.

    Pairs win over files, and later ones over earlier ones.

    Raises :class:`im.errors.InputError`.
    """
    inputs: dict[str, object] = {}
    for file in files:
        inputs.update(_inputs_of(file))
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.strip():
            raise InputError(f"'{pair}' is no input", hint="write --input NAME=VALUE")
        inputs[name.strip()] = _input_value(name.strip(), text)
    return inputs


def _inputs_of(file: Path) -> dict[str, object]:
    value, found = _read(Source(file, str(file)))
    if found:
        raise InputError(found[0].message, where=str(found[0].mark), hint=found[0].hint)
    if value is None:
        return {}
    if not isinstance(value, Map):
        raise InputError("the file must hold a mapping of names to values", where=str(file))
    return {str(name): content for name, content in value.items()}


def _input_value(name: str, text: str) -> object:
    if not text.lstrip().startswith(("[", "{", '"', "'")):
        return plain_value(text) if text else ""
    value, found = parse(text, f"--input {name}")
    if found:
        raise InputError(found[0].message, where=f"--input {name}", hint="quote it for the shell and for YAML")
    return value
