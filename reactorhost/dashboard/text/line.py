"""Lines of the screen: pieces of text in one style each, measured in cells and never longer than allowed.

A style is written as rich writes it ("yellow", "bold red", "dim"); "" is plain. Text is cleaned here, once and for all:
what a peer, a plugin or an exception wrote must not reach the terminal as a control sequence.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.text import Text

Piece = tuple[str, str]
Line = tuple[Piece, ...]

EMPTY: Line = ()

_ASCII = str.maketrans("▁▂▃▄▅▆▇█├└─·…µ▼▲↑↓→", "_.:-=+*#|`--.uv^^v>")


def line(*pieces: str | Piece) -> Line:
    """Return a line of texts, plain or with a style."""
    made = ((piece, "") if isinstance(piece, str) else piece for piece in pieces)
    return tuple((clean(text), style) for text, style in made if text)


def clean(text: str) -> str:
    """Return a text without anything that a terminal would not simply show."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


def width_of(pieces: Iterable[Piece]) -> int:
    """Return how many cells a line takes."""
    return sum(_cells(text) for text, _ in pieces)


def fitted(text: str, width: int) -> str:
    """Return a text cut to a number of cells; an ellipsis shows that something is missing."""
    if _cells(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def aligned(text: str, width: int, *, left: bool) -> str:
    """Return a text that fills a number of cells, cut if it is longer."""
    text = fitted(text, width)
    gap = " " * (width - _cells(text))
    return text + gap if left else gap + text


def cut(pieces: Line, width: int) -> Line:
    """Return a line cut to a number of cells; an ellipsis shows that something is missing."""
    if width_of(pieces) <= width:
        return pieces
    kept: list[Piece] = []
    for text, style in pieces:
        cells = _cells(text)
        # Of what follows nothing but spaces may be left, which nobody misses; but then it would have fitted.
        if cells >= width:
            kept.append((fitted(text, width) if cells > width else fitted(text + "…", width), style))
            break
        kept.append((text, style))
        width -= cells
    return tuple((text, style) for text, style in kept if text)


def spread(left: Line, right: Line, width: int) -> Line:
    """Return a line with something at its left and something at its right, which matters more."""
    right = cut(right, width)
    room = width - width_of(right)
    left = cut(left, room - 1 if right else room)
    gap = room - width_of(left)
    return (*left, (" " * gap, ""), *right) if right else left


def padded(pieces: Line, width: int) -> Line:
    """Return a line that fills a number of cells, cut if it is longer."""
    pieces = cut(pieces, width)
    gap = width - width_of(pieces)
    return (*pieces, (" " * gap, "")) if gap > 0 else pieces


def restyled(pieces: Line, style: str) -> Line:
    """Return a line all in one style."""
    return tuple((text, style) for text, _ in pieces)


def with_style(pieces: Line, style: str) -> Line:
    """Return a line with a style on top of those that it has."""
    return tuple((text, f"{own} {style}" if own else style) for text, own in pieces)


def in_ascii(pieces: Line) -> Line:
    """Return a line in ASCII letters that takes as many cells."""
    return tuple((text if text.isascii() else _ascii(text), style) for text, style in pieces)


def as_text(pieces: Line) -> Text:
    """Return a line as rich prints it."""
    return Text.assemble(*pieces, no_wrap=True, overflow="crop")


def _ascii(text: str) -> str:
    translated = text.translate(_ASCII)
    if translated.isascii():
        return translated
    return "".join(letter if letter.isascii() else "?" * cell_len(letter) for letter in translated)


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
