"""The progress of a command on standard error: one line that changes on a terminal, a line now and then elsewhere.

It is written without rich: the master of a start in the foreground draws it too, and every module that a master has
imported is in the memory of all its workers. No thread redraws it either. What waits calls `refresh`, or waits by
`wait`, so that the seconds go on.

A command that ends within half a second shows nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

from reactorhost.dashboard.terminal.capabilities import can_draw, is_utf8_locale
from reactorhost.printable import printable
from reactorhost.system.unblocked_write import write_without_waiting

TICK_SECONDS = 0.25
_BETWEEN_SECONDS = 5.0
_REPEAT_SECONDS = 30.0
"""Between lines that are not drawn over: at least this, and at most that while nothing changes."""

_STANDARD_ERROR = 2
_BAR_CELLS = (20, 10, 5)
"""Widths of the bar: the first one that the terminal has room for."""
_LONGEST_AGE = ", 99 s"
_USUAL_COLUMNS = 80
# A blank is written first: tmux moves what is erased from the first column of the first row to its history, so that
# after `clear` each line would stay above the next one.
_ERASE = " \x1b[J\b"
# From the beginning of the line: a terminal writes `^C` where the cursor is.
_ERASE_ALL = f"\r{_ERASE}"
_UP = "\x1b[A\r"


class Output(Protocol):
    """Where a view writes."""

    def write(self, text: str) -> None:
        """Write a text without waiting for its reader."""

    def columns(self) -> int | None:
        """Return the width of the terminal, or None if nothing can be drawn over."""


class StandardError:
    """Standard error of this process."""

    def __init__(self) -> None:
        self._draws = can_draw(_STANDARD_ERROR)

    def write(self, text: str) -> None:
        """Write a text; what does not fit, or cannot be written, is dropped."""
        # A terminal that was closed, a pipe without a reader: the command goes on.
        with contextlib.suppress(OSError):
            write_without_waiting(_STANDARD_ERROR, text.encode(errors="backslashreplace"))

    def columns(self) -> int | None:
        """Return the width of the terminal, 0 while another program is in its foreground, or None without one."""
        if not self._draws:
            return None
        try:
            if os.tcgetpgrp(_STANDARD_ERROR) != os.getpgrp():
                return 0
        except OSError:
            # Not the controlling terminal of this process, so that no shell uses it.
            pass
        try:
            return os.get_terminal_size(_STANDARD_ERROR).columns or _USUAL_COLUMNS
        except OSError:
            return 0


class ProgressView:
    """Shows the progress of a command while the context lasts; what was drawn is erased at its end.

    Args:
        title: the first word: what the command does.
        shown: False if nothing is to be shown.
        beside_output: other processes write to the terminal too. The line is drawn below an empty one, where their
            next line is written.
        after_seconds: nothing is shown before.
        output: where the view writes, and `clock` returns monotonic seconds; for tests.
    """

    def __init__(
        self,
        title: str,
        *,
        shown: bool = True,
        beside_output: bool = False,
        after_seconds: float = 0.5,
        output: Output | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._shown = shown
        # What others have written before the cursor stays.
        self._erase, self._before, self._after = (_ERASE, "\n", _UP) if beside_output else (_ERASE_ALL, "", "\r")
        self._output = output or StandardError()
        self._clock = clock
        self._begin_at = clock() + after_seconds
        self._text = ""
        self._since: float | None = None
        self._part: tuple[float, float] | None = None
        self._drawn = ""
        self._printed = ("", float("-inf"))
        self._soon = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def show(
        self,
        text: str,
        done: float | None = None,
        total: float | None = None,
        step_seconds: float | None = None,
        *,
        soon: bool = False,
    ) -> None:
        """Show a text from now on.

        Args:
            text: what is waited for.
            done: how much of `total` is done; without them no bar is drawn.
            total: see `done`.
            step_seconds: for how long it has been waited for; None if the text says it, or does not need it.
            soon: it is something that the operator can change in time: the first of such texts is not put off.
        """
        if soon and not self._soon:
            self._printed = ("", float("-inf"))
        self._soon = soon
        self._text = text
        self._since = None if step_seconds is None else self._clock() - step_seconds
        self._part = None if done is None or not total else (done, total)
        self.refresh()

    def refresh(self) -> None:
        """Write what has changed, the seconds too."""
        now = self._clock()
        if not self._shown or not self._text or now < self._begin_at:
            return
        seconds = 0 if self._since is None else int(now - self._since)
        text, age = printable(self._text), f", {seconds} s" if seconds else ""
        columns = self._output.columns()
        if columns is None:
            self._print(f"{text}{age}", now)
        elif columns:
            self._draw(text, age, columns - 1)

    def wait(self, readers: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """Wait until one of `readers` is readable, at most `seconds`; returns those that are."""
        deadline = None if seconds is None else self._clock() + seconds
        while True:
            left = TICK_SECONDS if deadline is None else min(TICK_SECONDS, deadline - self._clock())
            ready, _, _ = select.select(readers, (), (), max(0.0, left))
            if ready or (deadline is not None and self._clock() >= deadline):
                return ready
            self.refresh()

    def erase(self) -> None:
        """Erase what was drawn, so that something else can be printed; the next refresh draws again."""
        if self._drawn:
            self._output.write(self._erase)
            self._drawn = ""

    def close(self) -> None:
        """Erase what was drawn, and show nothing any more."""
        self.erase()
        self._shown = False

    def _print(self, text: str, now: float) -> None:
        before, at = self._printed
        # Without the seconds, which always change.
        if now - at >= (_BETWEEN_SECONDS if self._text != before else _REPEAT_SECONDS):
            self._output.write(f"{self._title}: {text}\n")
            self._printed = (self._text, now)

    def _draw(self, text: str, age: str, cells: int) -> None:
        line = f"{self._title}: {text}"
        if self._part is not None:
            # Room for seconds, so that the bar does not change with their digits.
            room = cells - _width(line) - len(_LONGEST_AGE)
            bar = _bar(*self._part, next((each for each in _BAR_CELLS if each <= room), 0))
            line = f"{self._title} {bar} {text}" if bar else line
        line = _cut(line, cells - len(age)) + age[:cells]
        if line != self._drawn:
            # The cursor stays where the next output of others, or the end of the command, begins.
            self._output.write(f"{self._erase}{self._before}{line}{self._after}")
            self._drawn = line


def _bar(done: float, total: float, cells: int) -> str:
    full, empty = ("━", "─") if is_utf8_locale(os.environ) else ("#", "-")
    filled = int(cells * max(0.0, min(1.0, done / total)))
    return full * filled + empty * (cells - filled)


def _width(text: str) -> int:
    """Return the most cells that a text can take: the exact widths are a table of rich."""
    return sum(1 if character.isascii() or character in "━─" else 2 for character in text)


def _cut(text: str, cells: int) -> str:
    """Return a text cut to a number of cells; a line that wraps could not be erased."""
    while _width(text) > max(0, cells):
        text = text[:-1]
    return text
