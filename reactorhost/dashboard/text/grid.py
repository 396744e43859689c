"""Small tables with columns of fixed width; the last column extends to the end of the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from reactorhost.dashboard.text.line import Line, Piece, aligned, cut
from reactorhost.printable import printable

Cell = str | Piece
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Field(Generic[Row]):
    """A column; `show` returns its cell of a row. It is shown on screens of `from_width` cells or more."""

    heading: str
    width: int
    show: Callable[[Row], Cell]
    left: bool = False
    from_width: int = 0


def grid(fields: Sequence[Field[Row]], rows: Sequence[Row], width: int) -> list[Line]:
    """Return the headings and the rows; a cell that is too long is cut, the last one at the end of the line."""
    shown = [field for field in fields if width >= field.from_width]
    headings: list[Cell] = [(field.heading, "dim") for field in shown]
    cells = [headings, *([field.show(row) for field in shown] for row in rows)]
    return [_drawn(shown, each, width) for each in cells]


def _drawn(fields: Sequence[Field[Row]], cells: Sequence[Cell], width: int) -> Line:
    pieces: list[Piece] = []
    for field, cell in zip(fields, cells, strict=True):
        if pieces:
            pieces.append(("  ", ""))
        text, style = cell if isinstance(cell, tuple) else (cell, "dim" if cell in ("-", "0") else "")
        text = printable(text)
        # The last column is not padded, and not cut to its own width: an error or an address may use the whole line.
        is_open = field.left and field is fields[-1]
        pieces.append((text if is_open else aligned(text, field.width, left=field.left), style))
    return cut(tuple(piece for piece in pieces if piece[0]), width)
