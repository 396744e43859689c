"""The progress of a start, from the first wait for something to the moment when the workers are ready.

The starter of a host in the foreground is shown the stop of that host too.
"""

from __future__ import annotations

import time
from typing import Protocol

from reactorhost.errors import counted
from reactorhost.ipc.status import StatusDocument
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan import progress
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.progress import BootProgress
from reactorhost.master.stop_progress import StopReport

_REFRESH_SECONDS = 0.25


class Starter(Protocol):
    """The command that started the host."""

    def show(
        self, text: str, done: float | None = None, total: float | None = None, step_seconds: float | None = None
    ) -> None:
        """Show how far the start is."""

    def refresh(self) -> None:
        """Show that time passes."""

    def started(self, document: StatusDocument) -> None:
        """Show that the host is ready."""

    def stopping(self, report: StopReport) -> None:
        """Show what the stop of a host waits for that was ready."""


class StartProgress:
    """Reports to the starter what the start waits for."""

    def __init__(self, lifecycle: Lifecycle, starter: Starter) -> None:
        self._lifecycle = lifecycle
        self._planner = lifecycle.context.planner
        self._starter = starter
        self._reported: tuple[int, HostState, BootProgress | None] | None = None

    def follow(self) -> None:
        """Report from now on until the start has ended."""
        self._lifecycle.supervisor.after_settling.append(self._report)
        self._refresh()

    def _refresh(self) -> None:
        if not self._lifecycle.started:
            self._starter.refresh()
            self._lifecycle.context.reactor.call_later(_REFRESH_SECONDS, self._refresh)

    def _report(self) -> None:
        if self._lifecycle.started:
            return
        planner = self._planner
        ready, booting = planner.scaling.ready_slots(), progress.slowest(planner.workers.values())
        if (ready, planner.state, booting) == self._reported:
            return
        self._reported = ready, planner.state, booting
        if planner.state is HostState.STOPPING:
            self._starter.show(
                f"given up, waiting for the end of {counted(len(planner.workers), 'worker')}", step_seconds=0.0
            )
            return
        total = planner.scaling.target
        text, fields = progress.of_boots(f"{ready} of {counted(total, 'worker')} ready", booting, time.monotonic())
        self._starter.show(text, ready, total, **fields)
