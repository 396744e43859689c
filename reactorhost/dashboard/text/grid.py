"""Small tables with columns of fixed width; the last column extends to the end of the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.dashboard.text.line import Line, Piece, aligned, clean, cut


@dataclass(frozen=True, slots=True)
class Field:
    """A column; it is shown on screens of `from_width` cells or more."""

    heading: str
    width: int
    left: bool = False
    from_width: int = 0


Cell = str | Piece


def grid(fields: Sequence[Field], rows: Sequence[Sequence[Cell]], width: int, gap: int = 2) -> list[Line]:
    """Return the headings and the rows; a cell that is too long is cut, the last one at the end of the line."""
    shown = [at for at, field in enumerate(fields) if width >= field.from_width]
    headings = [(field.heading, "dim") for field in fields]
    return [_drawn(fields, shown, cells, width, gap) for cells in (headings, *rows)]


def _drawn(fields: Sequence[Field], shown: list[int], cells: Sequence[Cell], width: int, gap: int) -> Line:
    pieces: list[Piece] = []
    for at in shown:
        if pieces:
            pieces.append((" " * gap, ""))
        cell = cells[at]
        text, style = cell if isinstance(cell, tuple) else (cell, "dim" if cell in ("-", "0") else "")
        pieces.append((_aligned(clean(text), fields[at], is_last=at == shown[-1]), style))
    return cut(tuple(piece for piece in pieces if piece[0]), width)


def _aligned(text: str, field: Field, *, is_last: bool) -> str:
    return text if is_last and field.left else aligned(text, field.width, left=field.left)
