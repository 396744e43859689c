"""The timers of one plugin's `Worker`: after seconds, at ticks that the whole host shares, and at times of day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from reactorhost.worker.hooks.job_times import LEAST_INTERVAL_SECONDS, Ticks, Times, cron_times
from reactorhost.worker.hooks.jobs import Job, JobSchedule
from reactorhost.worker.hooks.timers import PluginTimer, PluginTimers, checked_seconds


@dataclass(slots=True, eq=False, repr=False)
class WorkerTimers:
    """Makes the timers of one plugin; `own_jobs` run in every worker, `host_jobs` in the leader only."""

    timers: PluginTimers
    own_jobs: JobSchedule
    host_jobs: JobSchedule

    def call_later(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """See `PluginTimers`."""
        return self.timers.call_later(seconds, function, args)

    def call_every(
        self, seconds: float, function: Callable[..., object], args: tuple[Any, ...], once: str
    ) -> PluginTimer | Job:
        """Call `function(*args)` repeatedly, in this worker or once in the host.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not positive and finite, or too short for the host, or `once` is unknown.
        """
        if self._schedule(once) is self.own_jobs:
            return self.timers.call_every(seconds, function, args)
        if checked_seconds(seconds) < LEAST_INTERVAL_SECONDS:
            raise ValueError(
                f"an interval of the host must be at least {LEAST_INTERVAL_SECONDS} seconds, not {seconds!r}"
            )
        return self._add(once, Ticks(seconds), function, args)

    def call_cron(
        self, expression: str, function: Callable[..., object], args: tuple[Any, ...], once: str, timezone: str | None
    ) -> Job:
        """Call `function(*args)` at the times of a cron expression.

        Raises:
            TypeError: the expression or the time zone is not a text.
            ValueError: one of them is wrong, or `once` is unknown.
        """
        return self._add(once, cron_times(expression, timezone), function, args)

    def _add(self, once: str, times: Times, function: Callable[..., object], args: tuple[Any, ...]) -> Job:
        schedule = self._schedule(once)
        return schedule.add(times, partial(self.timers.call, function, args, self.timers.variables()))

    def _schedule(self, once: str) -> JobSchedule:
        if once not in {"worker", "host"}:
            raise ValueError(f"once must be 'worker' or 'host', not {once!r}")
        return self.own_jobs if once == "worker" else self.host_jobs
