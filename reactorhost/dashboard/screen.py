"""Where renderables are printed: a terminal as wide as it is, or a file or pipe that nothing is cut for."""

from __future__ import annotations

import os
import sys

from rich.console import Console, RenderableType

_PIPE_COLUMNS = 240


def show(renderable: RenderableType) -> None:
    """Print to standard output."""
    console = Console(highlight=False, soft_wrap=False, width=None if _is_terminal() else _PIPE_COLUMNS)
    console.print(renderable)


def _is_terminal() -> bool:
    # Not rich's own opinion: FORCE_COLOR makes it take a pipe for a terminal.
    return os.isatty(sys.stdout.fileno())
