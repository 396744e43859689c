"""The stop of a host: how long it may still take, and how each worker is made to leave."""

from __future__ import annotations

from collections.abc import Iterator

from reactorhost.config.settings import Settings
from reactorhost.master.plan.actions import Action
from reactorhost.master.plan.worker_table import WorkerState, WorkerTable


class Stopping:
    """The stop, which may be hurried while it lasts, and is never slowed down again."""

    def __init__(self, table: WorkerTable) -> None:
        self._table = table
        self._begin_at = 0.0
        self._end_at = 0.0
        self._at_once = False

    def announce(self, begin_at: float, end_at: float) -> None:
        """Expect the stop at `begin_at`, and its end until `end_at`, monotonic seconds."""
        self._begin_at, self._end_at = begin_at, end_at

    def begin(self, end_at: float) -> None:
        """Let the workers drain until `end_at`, monotonic seconds."""
        self._end_at = end_at

    def hurry(self) -> None:
        """Let no worker drain any more."""
        self._at_once = True

    def delay_left(self, now: float) -> float:
        """Return the time until a stop that was announced begins."""
        return max(0.0, self._begin_at - now)

    def seconds_left(self, now: float) -> float:
        """Return how long the stop still takes at most."""
        return 0.0 if self._at_once else max(0.0, self._end_at - now)

    def decide(self, now: float, settings: Settings) -> Iterator[Action]:
        """Drain the workers, or let them leave now."""
        seconds = max(0.0, self.seconds_left(now) - settings.closing_seconds)
        for worker in self._table.workers.values():
            # One that is stuck reads no order; it is being ended, with its stack.
            if worker.state is WorkerState.STUCK:
                continue
            # One that still boots has no connections, and would not read an order before it is ready.
            if (self._at_once and not worker.hurried) or worker.state is WorkerState.STARTING:
                yield self._table.leave_now(worker, now)
            elif worker.state is not WorkerState.STOPPING:
                yield self._table.drain(worker, seconds, now, settings, final=True)
