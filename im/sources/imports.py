"""What a template imports, read breadth first, each file once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from im.sources.files import Refused, Source, Sources
from im.topology.base import over
from im.topology.document import Document, Map, Seq, as_map
from im.topology.findings import Findings, did_you_mean
from im.topology.model import Finding, Mark

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILES: Final = 64
BASE: Final = "template_file"
"""The name of an import that is a base template: the community's way to compose them."""
_KEYS: Final = ("file", "repository", "namespace_prefix", "namespace_uri")


_NOWHERE: Final = Mark("")


class Reader(Protocol):
    """Reads one file: its value with marks, and what is wrong with its text."""

    def __call__(self, source: Source) -> tuple[object, tuple[Finding, ...]]:
        """Return the value and the findings."""


@dataclass(frozen=True, slots=True)
class Import:
    """One entry of an ``imports`` section.

    ``mark``: where it begins; ``named``: where its repository is named. ``base``: this template is written over it.
    """

    reference: str
    mark: Mark
    prefix: str = ""
    repository: str = ""
    named: Mark = _NOWHERE
    base: bool = False


def read_documents(sources: Sources, read: Reader, findings: Findings) -> tuple[list[Document], dict[str, Source]]:
    """Return the template and everything that it imports, and the source of each by the name that users see.

    A file that is imported again (in a circle, or by two others) is read once. What is wrong with the text of
    an import that is not ours to mend (a key twice) is a warning.
    """
    documents: list[Document] = []
    by_name: dict[str, Source] = {}
    seen: set[Path] = set()
    bases: list[Map] = []
    waiting: list[tuple[Source, str, bool]] = [(sources.template, "", False)]
    while waiting:
        source, prefix, is_base = waiting.pop(0)
        if source.path.resolve() in seen:
            continue
        seen.add(source.path.resolve())
        value, found = read(source)
        _add_findings(found, findings, is_template=not documents)
        root = value if isinstance(value, Map) else Map(source.name)
        if not isinstance(value, Map) and not found:
            findings.error(Mark(source.name), "form", f"'{source.name}' holds no TOSCA: it must be a mapping")
        if is_base:
            bases.append(root)
        elif documents and _unused(root.get("topology_template")):
            message = f"the topology of '{source.name}' is not used, only its types"
            findings.warning(root.key_mark("topology_template"), "ignored", message, "import it as '- template_file:'")
        documents.append(Document(source.name, root, "import" if by_name else "template", prefix))
        by_name[source.name] = source
        for wanted in _imports(root, findings):
            target = _find(wanted, root, source, sources, findings)
            if target is not None:
                waiting.append((target, wanted.prefix, wanted.base))
        if len(documents) + len(waiting) > MAX_FILES:
            findings.error(root.key_mark("imports"), "import", f"more than {MAX_FILES} files are imported")
            break
    return _with_bases(documents, bases), by_name


def _unused(topology: object) -> bool:
    """Tell whether an imported file holds nodes that nothing refers to: those of a substitute may be used."""
    return bool(as_map(topology).get("node_templates")) and "substitution_mappings" not in as_map(topology)


def _with_bases(documents: list[Document], bases: list[Map]) -> list[Document]:
    """Return the documents with the template written over its base, over the base of that one, and so on."""
    if not bases:
        return documents
    root = documents[0].root
    for base in bases:
        root = over(base, root)
    rest = [one for one in documents[1:] if not any(one.root is base for base in bases)]
    return [replace(documents[0], root=root), *rest]


def _add_findings(found: tuple[Finding, ...], findings: Findings, *, is_template: bool) -> None:
    for one in found:
        if one.code == "duplicate-key" and not is_template:
            findings.warning(one.mark, one.code, one.message, "the last one counts")
        else:
            findings.add(one)


def _imports(root: Map, findings: Findings) -> Iterator[Import]:
    section = root.get("imports")
    if section is None:
        return
    if not isinstance(section, Seq):
        findings.error(
            root.value_mark("imports"), "form", "'imports' must be a list of '- FILE' or '- name: FILE' items"
        )
        return
    for index, item in enumerate(section):
        mark = section.value_mark(index)
        if isinstance(item, str):
            yield Import(item, mark)
        elif isinstance(item, Map) and "file" in item:
            yield from _definition(item, mark, findings)
        elif isinstance(item, Map) and len(item) == 1:
            yield from _named(item, findings)
        else:
            findings.error(mark, "import", "an import must name a file: '- FILE' or '- name: FILE'")


def _named(item: Map, findings: Findings) -> Iterator[Import]:
    name, content = next(iter(item.items()))
    if isinstance(content, str):
        yield Import(content, item.value_mark(name), base=name == BASE)
    elif isinstance(content, Map):
        yield from _definition(content, item.key_mark(name), findings)
    else:
        findings.error(item.value_mark(name), "import", f"the import '{name}' must name a file")


def _definition(content: Map, mark: Mark, findings: Findings) -> Iterator[Import]:
    for key in content:
        if key not in _KEYS:
            findings.error(
                content.key_mark(key), "unknown-key", f"an import has no key '{key}'", did_you_mean(str(key), _KEYS)
            )
    reference = content.get("file")
    if not isinstance(reference, str):
        findings.error(mark, "import", "an import needs the key 'file'")
        return
    prefix, repository = content.get("namespace_prefix"), content.get("repository")
    yield Import(
        reference,
        mark,
        prefix if isinstance(prefix, str) else "",
        repository if isinstance(repository, str) else "",
        content.value_mark("repository"),
    )


def _find(wanted: Import, root: Map, importer: Source, sources: Sources, findings: Findings) -> Source | None:
    reference = wanted.reference
    if wanted.repository:
        base = _repository(wanted, root, findings)
        if base is None:
            return None
        reference = f"{base.rstrip('/')}/{reference.lstrip('/')}"
    target = sources.find(reference, importer)
    if isinstance(target, Refused):
        findings.error(wanted.mark, "import", f"the import cannot be read: {target.problem}", target.hint)
        return None
    return target


def _repository(wanted: Import, root: Map, findings: Findings) -> str | None:
    repositories = as_map(root.get("repositories"))
    if wanted.repository not in repositories:
        hint = did_you_mean(wanted.repository, map(str, repositories)) or "declare it under 'repositories'"
        findings.error(wanted.named, "import", f"there is no repository '{wanted.repository}'", hint)
        return None
    body = repositories[wanted.repository]
    url = body.get("url") if isinstance(body, Map) else body
    return url if isinstance(url, str) else None
