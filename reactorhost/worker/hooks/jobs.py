"""Jobs: functions of plugins that are called at times of a clock, in every worker or in the leader only.

A schedule looks at all of its jobs at once, by one timer for the soonest. So there is one moment up to which all of
them were started, and with it a schedule can be continued in another process: what was due before is not started
again, what was due since is started once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reactorhost.ipc.moments import BEGINNING, Moment
from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.worker.hooks.job_times import Times

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask


@dataclass(slots=True, eq=False)
class Job:
    """One function that is called at times.

    `call` calls it and returns the task of an async one. `on_idle` is called when such a task has ended.
    """

    schedule: JobSchedule
    times: Times
    call: Callable[[], HostTask | None]
    on_idle: Callable[[], object]
    task: HostTask | None = None

    def cancel(self) -> None:
        """Call the function no more; an async one that runs is not affected."""
        self.schedule.discard(self)

    def run(self) -> None:
        """Call the function, unless its last call still runs."""
        if self.task is not None:
            return
        self.task = self.call()
        if self.task is not None:
            self.task.add_done_callback(self._ended)

    def _ended(self, task: Task[Any]) -> None:
        self.task = None
        self.on_idle()


@dataclass(slots=True, eq=False, repr=False)
class JobSchedule:
    """The jobs of one worker; they are started between `begin` and `end` only.

    `unix_clock` returns Unix time. `on_progress` is called with each moment at which jobs are started, before that.

    Attributes:
        until: up to this moment everything that was due was started.
        active: whether jobs are started now.
    """

    reactor: Reactor
    unix_clock: Callable[[], float]
    on_progress: Callable[[Moment], object]
    until: Moment = BEGINNING
    active: bool = False
    _jobs: dict[Job, None] = field(default_factory=dict)
    _running: set[Job] = field(default_factory=set)
    _timer: TimerHandle | None = None
    _when_idle: Callable[[], object] | None = None

    @property
    def busy(self) -> bool:
        """Whether a function runs."""
        return bool(self._running)

    @property
    def has_jobs(self) -> bool:
        """Whether a function is called at some time."""
        return bool(self._jobs)

    def now(self) -> Moment:
        """Return the moment of this turn of the loop."""
        return Moment(self.reactor.now, self.unix_clock())

    def add(self, times: Times, call: Callable[[], HostTask | None]) -> Job:
        """Call a function at these times, from now on."""
        job = Job(self, times, call, self._check_idle)
        self._jobs[job] = None
        times.begin(self.until.moved_to(Moment(self.reactor.clock(), self.unix_clock())))
        self._set_timer()
        return job

    def discard(self, job: Job) -> None:
        """Start a job no more."""
        self._jobs.pop(job, None)
        self._set_timer()

    def begin(self, since: Moment) -> None:
        """Start jobs from now on, and at once those that were due after `since`."""
        self.active, self.until = True, since
        for job in self._jobs:
            job.times.begin(since)
        self._look()

    def end(self, when_idle: Callable[[], object]) -> None:
        """Start no more jobs; `when_idle` is called when no function runs any more."""
        now = self.now()
        # What is due already, but not started in this turn yet, is left to the next leader.
        if self.active and all(job.times.seconds_left(now) > 0 for job in self._jobs):
            self.until = self.until.moved_to(now)
        self.active = False
        self._set_timer()
        self._when_idle = when_idle
        self._check_idle()

    def cancel_all(self) -> None:
        """Remove all jobs."""
        self._jobs.clear()
        self._set_timer()

    def hurry(self) -> None:
        """Cancel the async functions that run."""
        for job in self._running:
            if job.task is not None:
                job.task.cancel_by_host()

    def _look(self) -> None:
        self._timer = None
        now = self.until.moved_to(self.now())
        due = [job for job in self._jobs if job.times.passed(now)]
        if due:
            self.until = now
            # Before: a worker that crashes in a job must not leave it to the next leader.
            self.on_progress(now)
        for job in due:
            # The call before may have cancelled it.
            if job in self._jobs:
                self._running.add(job)
                job.run()
        self._check_idle()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.active and self._jobs:
            now = self.now()
            soonest = min(job.times.seconds_left(now) for job in self._jobs)
            self._timer = self.reactor.call_at(now.monotonic + soonest, self._look)

    def _check_idle(self) -> None:
        self._running = {job for job in self._running if job.task is not None}
        if self._when_idle is not None and not self.busy:
            when_idle, self._when_idle = self._when_idle, None
            when_idle()
