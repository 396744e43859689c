"""Where renderables are printed: a terminal as wide as it is, or a file or pipe that nothing is cut for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from rich.color import ColorSystem
from rich.console import Console, RenderableType

from reactorhost.dashboard.text.line import Line, as_text

_PIPE_COLUMNS = 240


def show(renderable: RenderableType) -> None:
    """Print to standard output."""
    _console("auto").print(renderable)


def print_lines(made: Callable[[int], Sequence[Line]], color: str = "auto") -> None:
    """Print what is made for the width of standard output; `color` is auto, always or never."""
    console = _console(color)
    for each in made(console.width):
        console.print(as_text(each), no_wrap=True, overflow="ignore", crop=False)


def color_system(color: str) -> ColorSystem | None:
    """Return what colours standard output can show and is to show, None for none."""
    console = _console(color)
    if console.no_color or console.color_system is None:
        return None
    return {
        "standard": ColorSystem.STANDARD,
        "256": ColorSystem.EIGHT_BIT,
        "truecolor": ColorSystem.TRUECOLOR,
    }.get(console.color_system)


def speaks_utf8(environ: Mapping[str, str]) -> bool:
    """Say whether the locale is one of UTF-8, as whoever set it meant it.

    Python changes LC_CTYPE from C to C.UTF-8 at its start (PEP 538): that is no wish of the user's.
    """
    names = [environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if not names[0] and names[1] == "C.UTF-8":
        names.pop(1)
    named = next((name for name in names if name), "C.UTF-8")
    return "utf8" in named.lower().replace("-", "")


def _console(color: str) -> Console:
    terminal = _is_terminal()
    return Console(
        highlight=False,
        soft_wrap=False,
        width=None if terminal else _PIPE_COLUMNS,
        force_terminal={"auto": None, "always": True, "never": terminal}[color],
        no_color={"auto": None, "always": False, "never": True}[color],
        color_system="standard" if color == "always" else "auto",
    )


def _is_terminal() -> bool:
    # Not rich's own opinion: FORCE_COLOR makes it take a pipe for a terminal.
    return os.isatty(sys.stdout.fileno())
