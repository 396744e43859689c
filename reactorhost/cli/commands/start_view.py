"""What the command that starts a host shows of its start, and in the foreground of its stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from reactorhost.dashboard.output.progress import ProgressView

if TYPE_CHECKING:
    from reactorhost.config.settings import Settings
    from reactorhost.ipc.status import StatusDocument
    from reactorhost.master.stop_progress import StopReport

_SLOW_SECONDS = 5.0


class StartView:
    """Shows a start while the context lasts, if it is `shown`; `on_started` is called when the host is ready."""

    def __init__(self, settings: Settings, on_started: Callable[[StatusDocument], object], *, shown: bool) -> None:
        self._start = _view_of_start(settings, shown=shown)
        self._on_started = on_started
        # Else the log says it, and its lines would be mixed with this one.
        self._shows_stop = shown and settings.log_file is not None and os.isatty(2)
        self._stop: ProgressView | None = None
        self._most = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for view in (self._start, self._stop):
            if view is not None:
                view.close()

    def show(
        self, text: str, done: float | None = None, total: float | None = None, step_seconds: float | None = None
    ) -> None:
        """Show how far the start is."""
        self._start.show(text, done, total, step_seconds)

    def refresh(self) -> None:
        """Show that time passes."""
        self._start.refresh()

    def wait(self, readers: Sequence[Any]) -> Sequence[Any]:
        """Wait until one of them is readable."""
        return self._start.wait(readers)

    def started(self, document: StatusDocument) -> None:
        """Show that the host is ready, in place of the progress."""
        self._start.close()
        self._on_started(document)

    def stopping(self, report: StopReport) -> None:
        """Show what the stop of a host in the foreground waits for."""
        if self._stop is None:
            self._stop = ProgressView("stopping", shown=self._shows_stop, beside_output=True)
        self._most = max(self._most, report.connections)
        text = "; ".join(filter(None, (report.text, "Ctrl-C: at once", report.waits_for)))
        self._stop.show(text, self._most - report.connections, self._most, soon=report.held)


def _view_of_start(settings: Settings, *, shown: bool) -> ProgressView:
    if settings.daemon or os.isatty(2):
        return ProgressView("starting", shown=shown, beside_output=not settings.daemon)
    # Standard error is a log: only a start that is slow has a line there, and never among objects for programs.
    is_for_programs = settings.log_file is None and settings.log_format == "json"
    return ProgressView("starting", shown=shown and not is_for_programs, after_seconds=_SLOW_SECONDS)
