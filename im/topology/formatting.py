"""Templates in one style: the text is moved about, never written anew, so that comments and quotes stay.

Two columns for each level, lists under their key, sections in the usual order with a blank line between them, no
blanks at the ends of lines. The result must say the same as the text did, or the text stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import yaml
from yaml.tokens import (
    BlockEndToken,
    BlockEntryToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    KeyToken,
    ScalarToken,
)

from im.topology.reader import parse

ORDER: Final = (
    "tosca_definitions_version",
    "description",
    "imports",
    "metadata",
    "repositories",
    "dsl_definitions",
    "data_types",
    "artifact_types",
    "capability_types",
    "interface_types",
    "relationship_types",
    "node_types",
    "group_types",
    "policy_types",
    "topology_template",
)
_STEP: Final = 2
_KEY: Final = re.compile(r"([A-Za-z_][\w-]*)\s*:")
_DASH: Final = re.compile(r"-[ \t]+(?=\S)")


def formatted(text: str) -> str:
    """Return a template in our style; ``text`` itself where it is no YAML, or where its meaning would change."""
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    value, found = parse(text, "")
    if found or not isinstance(value, dict):
        return text
    try:
        result = "\n".join(_sorted(_tidy(_moved(text)))).strip("\n") + "\n"
    except yaml.YAMLError:
        return text
    again, found = parse(result, "")
    return result if not found and again == value else text


@dataclass(slots=True)
class _Line:
    """A line with the column that it gets; ``kept``: inside a text or a flow collection of several lines."""

    text: str
    kept: bool = False
    verbatim: bool = False

    @property
    def indent(self) -> int:
        return len(self.text) - len(self.text.lstrip(" "))

    @property
    def is_comment(self) -> bool:
        return not self.kept and self.text.lstrip().startswith("#")

    @property
    def is_blank(self) -> bool:
        return not self.verbatim and not self.text.strip()

    def moved(self, by: int) -> str:
        if not self.text.strip():
            return "" if not self.verbatim else self.text[: max(self.indent + by, 0)]
        return " " * max(self.indent + by, 0) + self.text.lstrip(" ")


class _Columns:
    """Follows the tokens of a text and knows the new column of every line that begins a key or an item."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._stack: list[tuple[str, int]] = []
        self._flow = 0
        self.new: dict[int, int] = {}

    def read(self, text: str) -> None:
        for token in yaml.scan(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
            self._note_extent(token)
            self._follow(token)

    def _note_extent(self, token: Any) -> None:  # noqa: ANN401 - PyYAML has no common type of tokens
        """Lines that a token goes on over belong to it."""
        if isinstance(token, ScalarToken):
            last = token.end_mark.line if token.end_mark.column else token.end_mark.line - 1
            for number in range(token.start_mark.line + 1, min(last + 1, len(self._lines))):
                self._lines[number].kept = True
                self._lines[number].verbatim = token.style in {"|", ">"}

    def _follow(self, token: Any) -> None:  # noqa: ANN401 - PyYAML has no common type of tokens
        line = token.start_mark.line
        if isinstance(token, (FlowMappingStartToken, FlowSequenceStartToken)):
            self._flow += 1
            if self._flow == 1:
                self._flow_from = line
        elif isinstance(token, (FlowMappingEndToken, FlowSequenceEndToken)):
            self._flow -= 1
            if not self._flow:
                for number in range(self._flow_from + 1, line + 1):
                    self._lines[number].kept = True
        elif not self._flow:
            self._follow_block(token, line)

    def _follow_block(self, token: Any, line: int) -> None:  # noqa: ANN401 - PyYAML has no common type of tokens
        if isinstance(token, BlockMappingStartToken):
            self._stack.append(("mapping", self._inner()))
        elif isinstance(token, BlockSequenceStartToken):
            self._stack.append(("sequence", self._inner()))
        elif isinstance(token, BlockEntryToken):
            if self._stack and self._stack[-1][0] == "mapping":
                self._stack.append(("list of a key", self._inner()))
            self.new.setdefault(line, self._stack[-1][1])
        elif isinstance(token, KeyToken):
            if self._stack and self._stack[-1][0] == "list of a key":
                self._stack.pop()
            if self._stack:
                self.new.setdefault(line, self._stack[-1][1])
        elif isinstance(token, BlockEndToken):
            if self._stack[-1][0] == "list of a key":
                self._stack.pop()
            self._stack.pop()

    def _inner(self) -> int:
        return self._stack[-1][1] + _STEP if self._stack else 0


def _moved(text: str) -> list[_Line]:
    """Return the lines at their new columns; what goes on over lines moves with the line that it begins on."""
    lines = [_Line(line.rstrip() if line.strip() else line) for line in text.rstrip("\n").split("\n")]
    columns = _Columns(lines)
    columns.read(text)
    for index, original in enumerate(text.rstrip("\n").split("\n")):
        if lines[index].verbatim:
            lines[index].text = original
    shift = 0
    moved: list[_Line] = []
    for number, line in enumerate(lines):
        if number in columns.new and not line.kept:
            shift = columns.new[number] - line.indent
        by = _shift_of_next(lines, columns.new, number, shift) if line.is_comment else shift
        new = line.moved(by)
        if number in columns.new and not line.kept:
            new = " " * columns.new[number] + _DASH.sub("- ", new.lstrip(" "), count=1)
        moved.append(_Line(new, line.kept, line.verbatim))
    return moved


def _shift_of_next(lines: list[_Line], new: dict[int, int], number: int, shift: int) -> int:
    """A comment belongs to what follows it, if that begins in the same column; at the margin it stays there."""
    shift = shift if lines[number].indent else 0
    for following in range(number + 1, len(lines)):
        if lines[following].is_comment or lines[following].is_blank:
            continue
        if following in new and lines[following].indent == lines[number].indent:
            return new[following] - lines[number].indent
        return shift
    return shift


def _tidy(lines: list[_Line]) -> list[_Line]:
    """Leave one blank line where there are several, and none at the ends of lines."""
    first = lines[:1]
    return first + [line for before, line in pairwise(lines) if not (before.is_blank and line.is_blank)]


def _sorted(lines: list[_Line]) -> list[str]:
    """Put the sections at the top into the usual order, each with the comments before it, a blank line between them."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    waiting: list[str] = []
    for line in lines:
        key = _KEY.match(line.text) if not line.kept else None
        if key:
            sections.append((key[1], [*waiting, line.text]))
            waiting = []
        elif line.text.startswith("#") or line.is_blank:
            waiting.append(line.text)
        else:
            sections[-1][1].extend([*waiting, line.text])
            waiting = []
    head = [section for name, section in sections if not name]
    named = sorted((pair for pair in sections if pair[0]), key=lambda pair: _rank(pair[0]))
    blocks = [*head, *(section for _, section in named), waiting]
    return [line for block in blocks if any(block) for line in ["", *_trimmed(block)]]


def _rank(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER) - 1


def _trimmed(block: list[str]) -> list[str]:
    while block and not block[0]:
        block = block[1:]
    while block and not block[-1]:
        block = block[:-1]
    return block
