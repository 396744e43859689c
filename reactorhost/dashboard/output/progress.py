"""Progress of a command: a bar that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressView:
    """Shows how far something is; on a terminal nothing of it stays.

    Args:
        title: what goes on, beside the bar.
        lead: what plain lines begin with.
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self._title = title
        self._lead = lead
        self._last = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if is_terminal():
            # Here, because a script's `reload` needs nothing of it.
            from rich.progress import BarColumn, Progress, TextColumn

            # Drawn when there is news and never by a thread.
            self._bar = Progress(
                TextColumn("[bold]{task.fields[title]}"),
                BarColumn(30),
                TextColumn("{task.description}", markup=False),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, text: str, done: float | None = None, total: float | None = None) -> None:
        """Say how far it is; without `total` nobody knows how long it takes."""
        if self._bar is None:
            if text != self._last:
                click.echo(f"{self._lead}{text}")
            self._last = text
            return
        from reactorhost.dashboard.text.line import clean

        if self._task is None:
            self._task = self._bar.add_task("", total=None, title=self._title)
        self._bar.update(self._task, description=clean(text), completed=done, total=total, refresh=True)


def is_terminal() -> bool:
    """Say whether standard output is a terminal on which something can move."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
