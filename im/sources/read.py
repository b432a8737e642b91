"""One file to its value with marks."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from im.data_files import data_folder
from im.sources.cache import Cache
from im.sources.codec import Parsed
from im.sources.files import Refused, Source, read_bytes
from im.topology.document import Document, Map
from im.topology.model import Finding, Mark
from im.topology.reader import parse

NO_CACHE: Final = Cache(None)


def read_yaml(source: Source, cache: Cache = NO_CACHE) -> Parsed:
    """Return what a file holds, through ``cache``, and what is wrong with its text."""
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
def normative_documents() -> tuple[Document, ...]:
    """Return TOSCA's own types.

    They are read as tosca-parser ships them (found without its costly import); ours are what it leaves out.
    """
    spec = find_spec("toscaparser")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    paths = [path for folder in folders for path in sorted(folder.glob("elements/TOSCA_definition*.yaml"))]
    paths.append(data_folder("tosca_templates") / "types" / "normative.yaml")
    documents = []
    for path in paths:
        value, _ = read_yaml(Source(path, path.name))
        documents.append(Document(path.name, value if isinstance(value, Map) else Map(path.name), "normative"))
    return tuple(documents)
