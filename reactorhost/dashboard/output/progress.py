"""Progress of a command: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import click

from reactorhost.dashboard.terminal.capabilities import can_draw
from reactorhost.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressView:
    """Shows the progress of a command while the context lasts; the bar is erased at its end.

    Args:
        title: the text beside the bar.
        lead: the beginning of plain lines.
        shown: False if standard output is for the result only.
    """

    def __init__(self, title: str, lead: str = "", *, shown: bool = True) -> None:
        self._title = title
        self._lead = lead
        self._shown = shown
        self._last = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._shown and can_draw(1):
            # Imported here: a command without a terminal does not need rich.
            from rich.progress import BarColumn, Progress, TextColumn

            # Refreshed by `show` and not by a thread, which rich starts by default.
            self._bar = Progress(
                TextColumn("[bold]{task.fields[title]}"),
                BarColumn(30),
                TextColumn("{task.description}", markup=False),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, text: str, done: float | None = None, total: float | None = None) -> None:
        """Show a progress text; without `total` the bar only pulses."""
        if not self._shown:
            return
        if self._bar is None:
            if text != self._last:
                click.echo(f"{self._lead}{printable(text)}")  # noqa: TID251  escaped here
            self._last = text
            return
        # Made with the first text, so that a command that ends at once shows no bar.
        if self._task is None:
            self._task = self._bar.add_task("", total=None, title=self._title)
        self._bar.update(self._task, description=printable(text), completed=done, total=total, refresh=True)
