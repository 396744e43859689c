"""Small tables; columns of text are wider where there is room, and the last one extends to the end of the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from reactorhost.dashboard.text.line import Line, Piece, aligned, cut, width_of
from reactorhost.printable import printable

Cell = str | Piece
_Row = TypeVar("_Row")
_GAP = 2


class SortColumn(Protocol):
    """A column that rows can be sorted by."""

    @property
    def name(self) -> str:
        """What an order by it is called; empty if there is none."""

    @property
    def heading(self) -> str:
        """The text above it."""

    @property
    def width(self) -> int:
        """The cells of a value."""

    @property
    def left(self) -> bool:
        """Whether values are aligned to the left."""

    @property
    def largest_first(self) -> bool:
        """The usual direction of the order."""

    @property
    def key(self) -> str:
        """The key that sorts by it at once."""


@dataclass(frozen=True, slots=True)
class Field(Generic[_Row]):
    """A column of a grid, which can be one to sort by.

    Attributes:
        show: returns its cell of a row.
        from_width: the least width of a screen that shows it.
    """

    heading: str
    width: int
    show: Callable[[_Row], Cell]
    left: bool = False
    from_width: int = 0
    name: str = ""
    largest_first: bool = True
    key: str = ""


def grid(
    fields: Sequence[Field[_Row]], rows: Sequence[_Row], width: int, *, sort: str = "", inverted: bool = False
) -> list[Line]:
    """Return the headings and the rows; a cell is cut only if all of the line is used.

    The heading of the column named `sort` has a mark.
    """
    shown = [field for field in fields if width >= field.from_width]
    cells = [[_piece(field.show(row)) for field in shown] for row in rows]
    shown = _widened(shown, cells, width)
    drawn = [_drawn(shown, each, width) for each in cells]
    return [cut(headings(shown, _GAP, width, sort, inverted=inverted), width), *drawn]


def headings(columns: Sequence[SortColumn], gap: int, width: int, sort: str, *, inverted: bool) -> Line:
    """Return the headings of columns with a gap between them, with a mark at the one that rows are sorted by."""
    pieces: list[Piece] = []
    has_spare = width > sum(column.width for column in columns) + gap * (len(columns) - 1)
    before = 0
    for column in columns:
        text, style, room, after = column.heading, "dim", column.width, gap
        is_sorted, is_last = bool(sort) and column.name == sort, column is columns[-1]
        if is_sorted:
            text, style = text + ("▲" if inverted else "▼"), "bold"
        if len(text) > room or (is_sorted and not column.left and (not is_last or has_spare)):
            # The mark stands in the gap after the column, so that the heading stays above its values.
            room, after = room + 1, after - 1
            if is_last and not has_spare:
                # No gap after the last column of a full line: the mark takes a cell of the gap before.
                before -= 1
        pieces.append((" " * before, ""))
        # The last column is open: blanks behind its heading would be cut, with a mark of the cut.
        pieces.append((text if column.left and is_last else aligned(text, room, left=column.left), style))
        before = after
    return tuple(piece for piece in pieces if piece[0])


def _piece(cell: Cell) -> Piece:
    text, style = cell if isinstance(cell, tuple) else (cell, "dim" if cell in ("-", "0") else "")
    return printable(text), style


def _widened(fields: Sequence[Field[_Row]], rows: Sequence[Sequence[Piece]], width: int) -> list[Field[_Row]]:
    """Return the columns with the rest of the line divided among those with longer texts, the shortest ones first."""
    spare = width - sum(field.width for field in fields) - _GAP * (len(fields) - 1)
    missing = {
        at: max((width_of(cells[at : at + 1]) for cells in rows), default=0) - field.width
        for at, field in enumerate(fields)
        if field.left
    }
    wider = list(fields)
    wanted = sorted((at for at in missing if missing[at] > 0), key=lambda at: missing[at])
    for number, at in enumerate(wanted):
        added = max(min(missing[at], spare // (len(wanted) - number)), 0)
        wider[at] = replace(fields[at], width=fields[at].width + added)
        spare -= added
    return wider


def _drawn(fields: Sequence[Field[_Row]], cells: Sequence[Piece], width: int) -> Line:
    pieces: list[Piece] = []
    for field, (text, style) in zip(fields, cells, strict=True):
        if pieces:
            pieces.append((" " * _GAP, ""))
        # The last column is not padded, and not cut to its own width: an error or an address may use the whole line.
        is_open = field.left and field is fields[-1]
        pieces.append((text if is_open else aligned(text, field.width, left=field.left), style))
    return cut(tuple(piece for piece in pieces if piece[0]), width)
