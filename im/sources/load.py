"""A template's file and the user's inputs to a :class:`~im.topology.model.Topology`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from im.data_files import data_folder
from im.errors import InputError
from im.sources.files import Refused, Source, Sources, read_bytes
from im.sources.imports import read_documents
from im.topology.build import build
from im.topology.document import Document, Map, parse, plain_value
from im.topology.findings import Findings
from im.topology.model import Finding, Mark, Topology
from im.topology.software import Located, kind_of

_ROLE_PREFIX: Final = "recipes/"
NO_MAP: Final[Mapping[str, Path]] = MappingProxyType({})


def load(
    template: Path, inputs: Mapping[str, object], *, import_map: Mapping[str, Path] = NO_MAP, cache: Path | None = None
) -> Topology:
    """Return the topology that ``template`` describes with ``inputs``.

    ``import_map`` maps prefixes of imports (URLs) to folders; nothing is fetched from a network. ``cache`` is a folder for what was parsed
    before. Raises :class:`im.errors.TemplateError` with all findings; warnings are in ``Topology.warnings``.
    """
    findings = Findings()
    sources = Sources(template, import_map)
    documents, by_name = read_documents(sources, _read, findings)
    documents += _normative()
    return build(documents, inputs, locate=_Locator(sources, by_name), found=findings.all)


def _read(source: Source) -> tuple[object, tuple[Finding, ...]]:
    content = read_bytes(source.path)
    if isinstance(content, Refused):
        return None, (Finding(Mark(source.name), "import", content.problem, content.hint),)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, (Finding(Mark(source.name, line), "yaml", "the file is not UTF-8 text"),)
    return parse(text, source.name)


def _normative() -> list[Document]:
    """TOSCA's own types: as tosca-parser ships them (found without its costly import), and ours for what it leaves out."""
    spec = find_spec("toscaparser")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    paths = [path for folder in folders for path in sorted(folder.glob("elements/TOSCA_definition*.yaml"))]
    paths.append(data_folder("tosca_templates") / "types" / "normative.yaml")
    documents = []
    for path in paths:
        value, _ = _read(Source(path, path.name))
        documents.append(Document(path.name, value if isinstance(value, Map) else Map(path.name), "normative"))
    return documents


class _Locator:
    """Finds the files that operations run."""

    def __init__(self, sources: Sources, by_name: Mapping[str, Source]) -> None:
        self._sources = sources
        self._by_name = by_name

    def __call__(self, reference: str, file: str) -> Located:
        if reference.startswith(_ROLE_PREFIX) and "." not in reference:
            return _role(reference.removeprefix(_ROLE_PREFIX))
        found = self._sources.find(reference, self._by_name.get(file, self._sources.template))
        kind = kind_of(reference)
        if isinstance(found, Refused):
            return Located(kind, problem=found.problem, hint=found.hint)
        return Located(kind, str(found.path))


def _role(name: str) -> Located:
    recipes = data_folder("recipes")
    if "/" in name or not (recipes / name).is_dir():
        known = ", ".join(sorted(path.name for path in recipes.iterdir() if path.is_dir())) if recipes.is_dir() else ""
        return Located("role", problem=f"there is no recipe '{name}'", hint=f"there are: {known}" if known else "")
    return Located("role", name)


def read_inputs(pairs: Sequence[str], files: Sequence[Path]) -> dict[str, object]:
    """Return inputs from YAML ``files`` and from ``name=value`` pairs, whose values are read as YAML; pairs win, later ones win.

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
