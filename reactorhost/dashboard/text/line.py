"""Lines of the screen: pieces of styled text, measured in cells and cut to a width.

A style is written as rich writes it ("yellow", "bold red", "dim"); "" is plain.

Widths are cells, not characters: a CJK character or an emoji takes two cells, a combining mark none. A line that is one
cell too long would wrap or overwrite its neighbour, so nothing here measures with `len` unless the text is ASCII.

Text of peers, plugins and exceptions goes through `line` or `printable`, before it is measured: they escape control
characters, because such a text could otherwise send escape sequences to the operator's terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from reactorhost.printable import printable

Piece = tuple[str, str]
Line = tuple[Piece, ...]
Frame = tuple[Line, ...]
"""A whole screen, from the top."""

EMPTY: Line = ()

_ASCII = str.maketrans("▁▂▃▄▅▆▇█├│└─·…µ▼▲↑↓→×›", "_.:-=+*#||`--~uv^^v>x>")
# What the fonts of the Linux console lack, which have the 256 or 512 characters of an old code page.
_CONSOLE = str.maketrans("▁▂▃▅▆▇…▼▲›×", "__▄▄██~v^>x")
# `… 7 more`, which is no text that was cut: a tilde would read as about seven.
_MORE = re.compile(r"…(?= \d)")


class Size(NamedTuple):
    """The size of a screen in cells."""

    columns: int
    rows: int


def line(*pieces: str | Piece) -> Line:
    """Return a line made of texts, plain or with a style, with control characters escaped."""
    made = ((piece, "") if isinstance(piece, str) else piece for piece in pieces)
    return tuple((printable(text), style) for text, style in made if text)


def width_of(pieces: Iterable[Piece]) -> int:
    """Return the width of a line in cells."""
    return sum(_cells(text) for text, _ in pieces)


def fitted(text: str, width: int) -> str:
    """Return a text cut to a number of cells; an ellipsis marks the cut."""
    if _cells(text) <= width:
        return text
    # A wide character at the edge is not cut in half: `set_cell_size` replaces it by a space.
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def aligned(text: str, width: int, *, left: bool) -> str:
    """Return a text padded or cut to exactly a number of cells."""
    text = fitted(text, width)
    gap = " " * (width - _cells(text))
    return text + gap if left else gap + text


def cut(pieces: Line, width: int) -> Line:
    """Return a line cut to a number of cells; an ellipsis marks the cut."""
    if width_of(pieces) <= width:
        return pieces
    kept: list[Piece] = []
    for text, style in pieces:
        cells = _cells(text)
        # A piece that ends exactly at the edge loses its last cell to the ellipsis: more text follows, since the whole
        # line did not fit.
        if cells >= width:
            kept.append((fitted(text, width) if cells > width else fitted(text + "…", width), style))
            break
        kept.append((text, style))
        width -= cells
    return tuple((text, style) for text, style in kept if text)


def spread(left: Line, right: Line, width: int) -> Line:
    """Return a line with a left and a right part; if there is no room for both, the left one is cut."""
    right = cut(right, width)
    room = width - width_of(right)
    left = cut(left, room - 1 if right else room)
    gap = room - width_of(left)
    return (*left, (" " * gap, ""), *right) if right else left


def padded(pieces: Line, width: int) -> Line:
    """Return a line padded or cut to exactly a number of cells."""
    pieces = cut(pieces, width)
    gap = width - width_of(pieces)
    return (*pieces, (" " * gap, "")) if gap > 0 else pieces


def restyled(pieces: Line, style: str) -> Line:
    """Return a line with one style in place of its own."""
    return tuple((text, style) for text, _ in pieces)


def with_style(pieces: Line, style: str) -> Line:
    """Return a line with a style added to its own."""
    return tuple((text, f"{own} {style}" if own else style) for text, own in pieces)


def merged(pieces: Iterable[Piece]) -> Line:
    """Return a line with neighbouring pieces of one style joined, so that fewer escape sequences are written."""
    joined: list[Piece] = []
    for text, style in pieces:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + text, style)
        elif text:
            joined.append((text, style))
    return tuple(joined)


def in_ascii(pieces: Line) -> Line:
    """Return a line in ASCII of the same width."""
    return tuple((text if text.isascii() else _ascii(text), style) for text, style in pieces)


def on_linux_console(pieces: Line) -> Line:
    """Return a line in characters that the Linux console can show."""
    return tuple(
        (text if text.isascii() else _MORE.sub(".", text).translate(_CONSOLE), style) for text, style in pieces
    )


def as_text(pieces: Line) -> Text:
    """Return a line as text for rich."""
    return Text.assemble(*pieces, no_wrap=True, overflow="crop")


def _ascii(text: str) -> str:
    # Each character becomes as many as it has cells, so that the columns after it stay in place.
    translated = _MORE.sub(".", text).translate(_ASCII)
    if translated.isascii():
        return translated
    return "".join(character if character.isascii() else "?" * cell_len(character) for character in translated)


def _cells(text: str) -> int:
    # Nearly all text is ASCII, and `len` is much cheaper than the table of widths. Control characters, which have no
    # width, were escaped by `printable`.
    return len(text) if text.isascii() else cell_len(text)
