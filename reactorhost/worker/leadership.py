"""The leadership of a worker, from the master's order to the report that it has ended.

FOLLOWING -> LEADING -> STEPPING_DOWN -> RETIRED        FOLLOWING -> RETIRED

The master appoints another worker once this one reports that it stepped down, or has ended. So it reports last: no job
of the host runs any more, and `leader_stop` has returned. A worker that leaves never leads again; if it is appointed
because order and report have crossed, it reports at once that it does not lead.

An async job that runs when the worker is to step down may finish, since a job that is cut in the middle helps less than
one that is late. A `leader_start` that has not returned by then is cancelled: what it prepares is not needed any more.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.ipc.moments import Moment
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.jobs import JobSchedule
from reactorhost.worker.hooks.worker_calls import WorkerCalls
from reactorhost.worker.role import Role

_SLOW_SECONDS = 5.0


class LeadershipState(enum.Enum):
    """Whether this worker leads."""

    FOLLOWING = "following"
    LEADING = "leading"
    STEPPING_DOWN = "stepping down"
    RETIRED = "retired"
    """It leaves, and does not lead."""


_NEXT = {
    LeadershipState.FOLLOWING: (LeadershipState.LEADING, LeadershipState.RETIRED),
    LeadershipState.LEADING: (LeadershipState.STEPPING_DOWN,),
    LeadershipState.STEPPING_DOWN: (LeadershipState.RETIRED,),
    LeadershipState.RETIRED: (),
}


def _ignore() -> None:
    """Do nothing; the default of `WorkerLeadership.on_stepped_down`."""


@dataclass(slots=True, eq=False, repr=False)
class WorkerLeadership:
    """Calls the hooks of the leader, and lets the jobs of the host run in it.

    `calls` has no other hooks, so that these wait for none of another kind. `send` sends a report to the master.

    Attributes:
        on_stepped_down: called when the worker need not wait for its leadership any more.
    """

    reactor: Reactor
    role: Role
    jobs: JobSchedule
    calls: WorkerCalls
    send: Callable[[Message], object]
    log: EventLog
    on_stepped_down: Callable[[], object] = _ignore
    state: LeadershipState = field(default=LeadershipState.FOLLOWING, init=False)

    @property
    def used(self) -> bool:
        """Whether a plugin does something when the worker leads: by a hook, or in a job of the host."""
        return self.calls.has("leader_start") or self.calls.has("leader_stop") or self.jobs.has_jobs

    @property
    def stepping_down(self) -> bool:
        """Whether the worker has to wait for the end of its leadership."""
        return self.state is LeadershipState.STEPPING_DOWN

    def lead(self, since: Moment) -> None:
        """Begin to lead; jobs of the host that were due after `since` are started."""
        if self.state is LeadershipState.RETIRED:
            self._report(since)
            return
        self._enter(LeadershipState.LEADING)
        self.role.is_leader = True
        # Until the jobs begin, so that what was due is left to the next leader if there is one before that.
        self.jobs.until = since
        self.calls.call("leader_start", then=partial(self._begin_jobs, since))

    def _begin_jobs(self, since: Moment) -> None:
        if self.state is LeadershipState.LEADING:
            self.jobs.begin(since)

    def step_down(self) -> None:
        """Stop leading, because the worker leaves."""
        if self.state is LeadershipState.FOLLOWING:
            self._enter(LeadershipState.RETIRED)
        elif self.state is LeadershipState.LEADING:
            self._enter(LeadershipState.STEPPING_DOWN)
            self.reactor.call_later(_SLOW_SECONDS, self._log_slow)
            self.calls.hurry()
            self.jobs.end(self._call_leader_stop)

    def _log_slow(self) -> None:
        # The host has no leader meanwhile, and a drain can last for an hour.
        if self.stepping_down:
            waits_for = "a job" if self.jobs.busy else "a hook"
            self.log.warning("step_down_slow", seconds=_SLOW_SECONDS, waits_for=waits_for)

    def _call_leader_stop(self) -> None:
        if self.stepping_down:
            self.calls.call("leader_stop", then=self._stepped_down)

    def _stepped_down(self) -> None:
        if self.stepping_down:
            self.role.is_leader = False
            self._enter(LeadershipState.RETIRED)
            self._report(self.jobs.until)
            self.on_stepped_down()

    def hurry(self, seconds: float) -> None:
        """Cancel what still runs, and let the worker leave after `seconds` in any case."""
        if self.stepping_down:
            self.jobs.hurry()
            self.calls.hurry()
            self.reactor.call_later(seconds, self._abandon)

    def _abandon(self) -> None:
        # Without a report: the function may still run, so that the leadership ends with the process.
        if self.stepping_down:
            self._enter(LeadershipState.RETIRED)
            self.on_stepped_down()

    def _report(self, until: Moment) -> None:
        self.send({"report": Report.STEPPED_DOWN, "until": until.monotonic, "until_unix": until.unix})

    def _enter(self, state: LeadershipState) -> None:
        assert state in _NEXT[self.state], f"a worker cannot go from {self.state.value} to {state.value}"
        self.state = state
