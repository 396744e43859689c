"""The log on a terminal: aligned, in local time, with a letter for the level, and wrapped to the width of the screen.

`12:04:37.123 E worker 2  hook_failed plugin=chat hook=receive error="ValueError: no room"`

Lines of files and pipes have the format `text`: other programs read them.
"""

from __future__ import annotations

import logging
import mmap
import os
import time
import unicodedata
from collections.abc import Iterator, Mapping

from reactorhost.logs import ContextFormatter, text_value
from reactorhost.printable import printable

_LEVELS = {"": " ", "debug": "D", "info": " ", "warning": "W", "error": "E", "critical": "C"}
# Magenta for warnings, as in the live view: yellow cannot be read on white.
_COLOURS = {"warning": "35", "error": "31", "critical": "1;31"}
_DIM = "2"
_BOLD = "1"
_PLUGIN_LOGGER = "reactorhost.plugin."
_PROCESS_CELLS = 9
_MARGIN = len("12:04:37.123 E ") + _PROCESS_CELLS + 1
# On a narrower screen a margin would leave too little room for text.
_MARGIN_FROM_WIDTH = 2 * _MARGIN


class SharedDay:
    """The day of the newest line, in memory that workers share: only one of all processes writes the line of a date."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def changes_to(self, day: bytes) -> bool:
        """Return whether a line of this day is the first one."""
        if self._memory[: len(day)] == day:
            return False
        # Two processes may do this at once. Then the date is written twice.
        self._memory[: len(day)] = day
        return True


class TerminalLines:
    """Makes lines for a terminal.

    Args:
        descriptor: the terminal whose width counts; of none, lines are not wrapped.
        colour: whether to use colour.
        day: where the day of the newest line is kept.
    """

    def __init__(self, descriptor: int | None, *, colour: bool, day: SharedDay) -> None:
        self.day = day
        self._descriptor = descriptor
        self._colour = colour

    def lines(
        self, seconds: float, level: str, event: str, fields: Mapping[str, object], details: str | None = None
    ) -> str:
        """Return the lines of an event at a Unix time; the first one of a day has a line with the date above it."""
        local = time.localtime(seconds)
        process, rest = _process(fields)
        colour = _COLOURS.get(level, "")
        clock = f"{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}.{int(seconds % 1 * 1000):03d}"
        start = (
            f"{self._styled(clock, _DIM)} {self._styled(_LEVELS.get(level, '?'), colour and f'1;{colour}')} "
            f"{process:<{_PROCESS_CELLS}} "
        )
        text = start + self._wrapped(list(_words(event, rest, colour or (_DIM if level == "debug" else ""))))
        if details:
            *trace, last = details.rstrip().splitlines() or [""]
            text += "".join(f"\n    {self._styled(printable(each), _DIM)}" for each in trace)
            text += f"\n    {self._styled(printable(last), colour)}"
        date = time.strftime("%Y-%m-%d", local)
        if self.day.changes_to(date.encode()):
            return f"{self._styled(time.strftime('%A, %d %B %Y, local time (UTC%z)', local), _DIM)}\n{text}"
        return text

    def _wrapped(self, words: list[tuple[str, str, str]]) -> str:
        width = self._width()
        margin = _MARGIN if width is None or width >= _MARGIN_FROM_WIDTH else 4
        used = _MARGIN
        pieces: list[str] = []
        for name, value, style in words:
            cells = _cells(name) + _cells(value)
            if pieces and width is not None and used + 1 + cells > width:
                pieces.append("\n" + " " * margin)
                used = margin + cells
            elif pieces:
                pieces.append(" ")
                used += 1 + cells
            else:
                used += cells
            pieces.append(self._styled(name, _DIM) + self._styled(value, style))
        return "".join(pieces)

    def _styled(self, text: str, codes: str) -> str:
        return f"\033[{codes}m{text}\033[m" if self._colour and codes and text else text

    def _width(self) -> int | None:
        if self._descriptor is None:
            return None
        try:
            return os.get_terminal_size(self._descriptor).columns or None
        except OSError:
            # It has hung up.
            return None


class TerminalFormatter(ContextFormatter):
    """Formats records for a terminal."""

    def __init__(self, context: Mapping[str, object], made: TerminalLines) -> None:
        super().__init__(context)
        self.made = made

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        level, fields = record.levelname.lower(), self.fields_of(record)
        return self.made.lines(record.created, level, record.getMessage(), fields, self.details_of(record))


def _process(fields: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return the process that wrote a line, and the fields that do not only name it."""
    rest = dict(fields)
    if "master" in rest:
        del rest["master"]
        return "master", rest
    if "worker" in rest and "slot" in rest:
        del rest["worker"]
        return f"worker {rest.pop('slot')}", rest
    return "", rest


def _words(event: str, fields: Mapping[str, object], style: str) -> Iterator[tuple[str, str, str]]:
    """Yield the words of a line: the name of a field with its `=`, the text, and its style."""
    logger = str(fields.get("logger", ""))
    if logger:
        yield "", printable(f"{logger.removeprefix(_PLUGIN_LOGGER)}:"), _BOLD
    for word in printable(event).split(" "):
        yield "", word, style or _BOLD if not logger else style
    for key, value in fields.items():
        if key != "logger":
            first, *others = text_value(value).split(" ")
            yield f"{printable(key)}=", first, style if key == "error" else ""
            for other in others:
                yield "", other, style if key == "error" else ""


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )
