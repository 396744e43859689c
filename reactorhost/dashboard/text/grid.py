"""Small tables of fixed columns, the last of which takes what room is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.dashboard.text.line import Line, Piece, aligned, clean, cut


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its heading, its width, and from which width of the screen on it is shown."""

    heading: str
    width: int
    left: bool = False
    from_width: int = 0


Cell = str | Piece


def grid(fields: Sequence[Field], rows: Sequence[Sequence[Cell]], width: int, gap: int = 2) -> list[Line]:
    """Return headings and rows; a cell that is too long is cut, except that the last may fill the line."""
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
