"""A picture of a topology: machines side by side above the networks and folders that join them.

The same layout twice: as lines for a terminal, and as SVG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from im.cli.outline import summary

if TYPE_CHECKING:
    from im.topology.model import NodeGroup, Topology

GAP: Final = 3
_LETTER: Final = (8.4, 19.0)
"""Width and height of a letter in the SVG, in its own units."""


@dataclass(frozen=True, slots=True)
class Box:
    """A group of machines: a title, lines of text, and the lines below that it is joined to."""

    title: str
    lines: tuple[str, ...]
    joins: frozenset[str]
    front_end: bool = False

    @property
    def width(self) -> int:
        """Letters inside the frame."""
        return max(len(self.title) + 2, *(len(line) for line in self.lines), 12)


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes, and the lines that join them: name and what it is (``private``, ``public``, ``shared``)."""

    boxes: tuple[Box, ...]
    joins: tuple[tuple[str, str], ...]


def picture(topology: Topology) -> Picture:
    """Return the picture of a topology."""
    groups = sorted(topology.groups, key=lambda group: not group.front_end)
    joins = [(network.name, "public" if network.public else "private") for network in topology.networks]
    joins += [(path, "shared") for path in sorted({path for group in groups for path in group.shared})]
    used = {name for group in groups for name in (*group.networks, *group.shared)}
    return Picture(tuple(_box(group, topology) for group in groups), tuple(join for join in joins if join[0] in used))


def _box(group: NodeGroup, topology: Topology) -> Box:
    title = group.name if group.count == 1 else f"{group.name} x {group.count}"
    software = [each.name for each in topology.software if each.host == group.name and each.name != group.name]
    lines = (*(["front-end"] if group.front_end else []), *summary(group), *(f"+ {name}" for name in software))
    return Box(title, lines, frozenset((*group.networks, *group.shared)), group.front_end)


def as_text(shown: Picture, columns: int = 100) -> list[str]:
    """Return the picture as lines no wider than ``columns`` where one box fits that."""
    label = max((len(name) for name, _ in shown.joins), default=0) + 2
    lines: list[str] = []
    for row in _rows(shown.boxes, columns - label):
        lines += ([""] if lines else []) + _text_row(row, shown.joins, label)
    return lines


def _rows(boxes: Sequence[Box], columns: int) -> Iterator[list[Box]]:
    row: list[Box] = []
    for box in boxes:
        if row and sum(one.width + 4 + GAP for one in (*row, box)) > columns:
            yield row
            row = []
        row.append(box)
    if row:
        yield row


def _text_row(row: list[Box], joins: Sequence[tuple[str, str]], label: int) -> list[str]:
    height = max(len(box.lines) for box in row)
    indent, gap = " " * label, " " * GAP
    lines = [indent + gap.join(f"┌ {box.title} {'─' * (box.width - len(box.title))}┐" for box in row)]
    for index in range(height):
        texts = (box.lines[index] if index < len(box.lines) else "" for box in row)
        lines.append(indent + gap.join(f"│ {text.ljust(box.width)} │" for text, box in zip(texts, row, strict=True)))
    feet = (_foot(box, joined=bool(box.joins)) for box in row)
    lines.append(indent + gap.join(feet))
    for number, (name, kind) in enumerate(joins):
        lines.append(f"{name.ljust(label)}{_join_line(row, joins, number)} {kind}".rstrip())
    return lines


def _foot(box: Box, *, joined: bool) -> str:
    middle = _middle(box)
    line = "─" * (box.width + 2)
    return f"└{line[:middle]}{'┬' if joined else '─'}{line[middle + 1 :]}┘"


def _middle(box: Box) -> int:
    return (box.width + 2) // 2


def _join_line(row: list[Box], joins: Sequence[tuple[str, str]], number: int) -> str:
    """Return the line of one network: a dot under each box that is on it, a crossing under those that go further."""
    later = {name for name, _ in joins[number + 1 :]}
    name = joins[number][0]
    parts = []
    for box in row:
        on, below = name in box.joins, bool(later & box.joins)
        mark = "●" if on else "┼" if below else "─"
        parts.append("─" * (_middle(box) + 1) + mark + "─" * (box.width + 2 - _middle(box)))
    return ("─" * GAP).join(parts) + "─"


def as_svg(shown: Picture) -> str:
    """Return the picture as SVG: no script, no style sheet, no font of its own, nothing to load."""
    wide, high = _LETTER
    height = max((len(box.lines) for box in shown.boxes), default=0)
    label = max((len(f"{name} ({kind})") for name, kind in shown.joins), default=0) * wide + 24
    bottom = 20 + (height + 2) * high
    body: list[str] = []
    left = label
    centres = []
    for box in shown.boxes:
        width = (box.width + 2) * wide
        centres.append((box, left + width / 2))
        body += _svg_box(box, left, width, (height + 1.6) * high)
        left += width + 24
    right = left - 12
    for number, (name, kind) in enumerate(shown.joins):
        body += _svg_join(name, kind, bottom + (number + 1) * 1.5 * high, right, label, centres)
    stems = _svg_stems(shown, centres, bottom)
    total = bottom + (len(shown.joins) + 1) * 1.5 * high
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 12:.0f} {total:.0f}" '
        f'width="{right + 12:.0f}" height="{total:.0f}" font-family="monospace" font-size="14">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *stems, *body, "</svg>", ""])


_COLOURS: Final = {"private": "#4a6fa5", "public": "#b5522b", "shared": "#4d7c4a"}


def _svg_box(box: Box, left: float, width: float, height: float) -> list[str]:
    fill = "#eef3fb" if box.front_end else "#f7f7f7"
    lines = [
        f'<rect x="{left:.1f}" y="20" width="{width:.1f}" height="{height:.1f}" rx="6" fill="{fill}" stroke="#333"/>',
        _svg_text(box.title, left + 8, 20 + _LETTER[1], bold=True),
    ]
    return lines + [_svg_text(line, left + 8, 20 + (index + 2) * _LETTER[1]) for index, line in enumerate(box.lines)]


def _svg_text(text: str, left: float, top: float, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{left:.1f}" y="{top:.1f}"{weight} fill="#222222">{escape(text)}</text>'


def _svg_join(
    name: str, kind: str, top: float, right: float, label: float, centres: Sequence[tuple[Box, float]]
) -> list[str]:
    colour = _COLOURS[kind]
    lines = [
        _svg_text(f"{name} ({kind})", 8, top + 5),
        _svg_line((label - 12, top), (right, top), colour, 3),
    ]
    return lines + [
        f'<circle cx="{centre:.1f}" cy="{top:.1f}" r="5" fill="{colour}"/>'
        for box, centre in centres
        if name in box.joins
    ]


def _svg_stems(shown: Picture, centres: Sequence[tuple[Box, float]], bottom: float) -> list[str]:
    stems = []
    for box, centre in centres:
        numbers = [number for number, (name, _) in enumerate(shown.joins) if name in box.joins]
        if numbers:
            end = bottom + (numbers[-1] + 1) * 1.5 * _LETTER[1]
            stems.append(_svg_line((centre, bottom - _LETTER[1]), (centre, end), "#333", 1))
    return stems


def _svg_line(start: tuple[float, float], end: tuple[float, float], colour: str, width: int) -> str:
    places = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {places} stroke="{colour}" stroke-width="{width}"/>'
