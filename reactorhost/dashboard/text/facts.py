"""Facts with names: one below the other on a narrow screen, side by side in columns with headings on a wide one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.dashboard.text.line import EMPTY, Line, Piece, line, padded
from reactorhost.dashboard.text.wrapping import wrapped

Fact = tuple[str, str | Piece]
_NAME = 14
_COLUMN = 58
_GAP = 3
_MOST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Section:
    """Facts that belong together; the heading is shown where there are columns."""

    heading: str
    facts: Sequence[Fact]


def fact_lines(sections: Sequence[Section], width: int) -> list[Line]:
    """Return the facts of all sections; a value that is longer than its line wraps."""
    shown = [section for section in sections if section.facts]
    count = min((width + _GAP) // (_COLUMN + _GAP), _MOST_COLUMNS, len(shown))
    if count < 2:
        return [each for section in shown for each in _facts(section, width)]
    room = (width - _GAP * (count - 1)) // count
    blocks = [[line((section.heading, "bold")), *_facts(section, room)] for section in shown]
    columns = _divided(blocks, count)
    lines = []
    for at in range(max(map(len, columns))):
        pieces: list[Piece] = []
        for column in columns:
            if column is not columns[0]:
                pieces.append((" " * _GAP, ""))
            pieces += padded(column[at] if at < len(column) else EMPTY, room)
        lines.append(tuple(pieces))
    return lines


def _facts(section: Section, width: int) -> list[Line]:
    lines: list[Line] = []
    for name, value in section.facts:
        lines += wrapped(line((f"{name:<{_NAME}}", "dim"), value), width, indent=_NAME)
    return lines


def _divided(blocks: list[list[Line]], count: int) -> list[list[Line]]:
    """Divide blocks into columns, in order, so that the longest column is as short as possible."""
    shortest = max(map(len, blocks))
    while True:
        columns: list[list[Line]] = [[]]
        for block in blocks:
            column = columns[-1]
            if column and len(column) + 1 + len(block) > shortest:
                columns.append([*block])
            else:
                column += [EMPTY, *block] if column else block
        if len(columns) <= count:
            return columns
        shortest += 1
