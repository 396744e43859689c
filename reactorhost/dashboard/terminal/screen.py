"""Standard output through rich: cut to the width of a terminal, uncut in a file or pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console, RenderableType

from reactorhost.dashboard.text.line import Line, as_text

_WIDEST = 100_000
"""What is printed to a file or a pipe is as wide as it is: a program that reads it needs all of it."""

_NARROWEST_TABLE = 80
"""In less, the cells of a table would be folded to two or three characters. The terminal breaks its lines instead."""


def print_renderable(renderable: RenderableType) -> None:
    """Print a renderable of rich to standard output, in a file or pipe as wide as it is."""
    console = _console("auto")
    if not _is_terminal():
        # A table is filled with spaces up to the width.
        console.width = console.measure(renderable).maximum
    else:
        console.width = max(console.width, _NARROWEST_TABLE)
    console.print(renderable)


def print_lines(make: Callable[[int], Sequence[Line]], color: str = "auto") -> None:
    """Print the lines that `make` returns for the width of standard output; `color` is auto, always or never."""
    console = _console(color)
    for each in make(console.width):
        console.print(as_text(each), no_wrap=True, overflow="ignore", crop=False)


def output_width() -> int:
    """Return the width of standard output: of a terminal in cells, of a file or pipe more than any line has."""
    return _console("auto").width


def color_system(color: str) -> ColorSystem | None:
    """Return the colours to use on standard output, None for no colours."""
    console = _console(color)
    if console.no_color or console.color_system is None:
        return None
    return COLOR_SYSTEMS[console.color_system]


def _console(color: str) -> Console:
    terminal = _is_terminal()
    return Console(
        highlight=False,
        soft_wrap=False,
        width=None if terminal else _WIDEST,
        force_terminal={"auto": None, "always": True, "never": terminal}[color],
        no_color={"auto": None, "always": False, "never": True}[color],
        color_system="standard" if color == "always" else "auto",
    )


def _is_terminal() -> bool:
    # Rich does not decide this: with FORCE_COLOR it treats a pipe as a terminal, of 80 columns.
    return os.isatty(sys.stdout.fileno())
