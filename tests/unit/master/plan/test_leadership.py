"""Leadership: one worker leads, another one only after it reported that it does not, or has ended."""

from __future__ import annotations

import pytest

from fake_supervisor import FakeSupervisor
from reactorhost.ipc.moments import Moment
from reactorhost.master.plan.actions import Count, Drain, Lead
from reactorhost.master.plan.worker_table import WorkerState


def leader(host: FakeSupervisor) -> int | None:
    """Return the worker that the planner has as its leader."""
    host.settle()
    return next((pid for pid in host.planner.workers if host.planner.leadership.leads(pid)), None)


def resign(host: FakeSupervisor, pid: int, until: float = 200.0) -> None:
    """Let a worker report that it does not lead."""
    host.planner.leadership.stepped_down(pid, Moment(until, until + 1e9))
    host.settle()


def test_the_first_ready_worker_leads_from_the_start_of_the_host_on() -> None:
    host = FakeSupervisor(2)
    host.settle()
    assert leader(host) is None
    first = host.ready(0)
    host.ready(1)
    assert host.led == [Lead(first, Moment(0.0, 0.0), "it is the first")]


def test_a_leader_that_drains_leads_until_it_has_stepped_down() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    host.start_reload()
    host.settle()
    replacement = host.ready(0)
    assert Drain(first, 60.0, final=False) in host.done
    assert leader(host) == first
    resign(host, first, until=150.0)
    assert leader(host) == replacement, "of the newest generation, though slot 1 serves for longer"
    assert host.led[-1] == Lead(replacement, Moment(150.0, 1e9 + 150.0), f"pid {first} stepped down")
    host.ready(1)
    assert leader(host) == replacement
    assert second in host.planner.workers


@pytest.mark.parametrize("cause", ["term", "scale", "recycle"])
def test_whatever_makes_the_leader_leave_another_one_waits_for_its_report(cause: str) -> None:
    host = FakeSupervisor(2)
    pids = host.running()
    if cause == "scale":
        # The leader in the slot that leaves.
        host.exit(pids[0])
        assert leader(host) == pids[1]
        host.ready(0)
        host.planner.scaling.request(1)
    elif cause == "term":
        host.planner.leaving(pids[0], 3.5, host.now, waits=True)
        host.expire(0.3)
    else:
        host.planner.recycle(pids[0], Watcher())
        host.settle()
        host.ready(0)
    leading = leader(host)
    assert leading is not None
    assert host.planner.workers[leading].state is WorkerState.DRAINING
    appointed = len(host.led)
    resign(host, leading)
    assert len(host.led) == appointed + 1
    assert leader(host) not in {leading, None}


class Watcher:
    def progress(self, text: str, **fields: object) -> None: ...
    def done(self, **result: object) -> None: ...
    def failed(self, error: Exception) -> None: ...


def test_a_leader_that_hangs_leads_until_it_is_reaped() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    host.silence(first)
    host.planner.stalled(first, 30.0, None, host.now)
    host.expire(0.0)
    host.expire(2.0)
    assert leader(host) == first
    host.exit(first)
    assert leader(host) == second
    assert host.led[-1].why == f"pid {first} ended"


def test_the_jobs_of_a_leader_that_crashed_are_continued_where_it_was() -> None:
    host = FakeSupervisor(3)
    first, second, third = host.running()
    host.planner.leadership.note_progress(first, Moment(120.0, 7.0))
    host.planner.leadership.note_progress(second, Moment(130.0, 8.0))
    host.exit(first)
    assert leader(host) == second
    assert host.led[-1].since == Moment(120.0, 7.0), "another worker has no jobs of the host"
    # It crashed before it knew, and its page is empty.
    host.planner.leadership.note_progress(second, Moment(0.0, 0.0))
    host.exit(second)
    assert leader(host) == third
    assert host.led[-1].since == Moment(120.0, 7.0)


def test_a_worker_that_was_sent_term_or_is_silent_is_not_appointed() -> None:
    host = FakeSupervisor(3)
    first, second, third = host.running()
    host.planner.leaving(second, 3.5, host.now, waits=True)
    host.silence(third)
    host.exit(first)
    assert leader(host) is None
    host.silence()
    assert leader(host) == third


def test_a_worker_that_leaves_when_it_is_appointed_is_not_appointed_again() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    host.exit(first)
    assert leader(host) == second
    resign(host, second, until=0.0)
    assert leader(host) is None, "though it has not reported yet that it leaves"
    replacement = host.ready(0)
    assert leader(host) == replacement


def test_a_report_of_a_worker_that_does_not_lead_changes_nothing() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    resign(host, second)
    resign(host, 1)
    assert leader(host) == first
    assert len(host.led) == 1
    assert host.planner.leadership.since == Moment(0.0, 0.0)


def test_a_stop_appoints_no_other_worker() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    host.planner.stop(host.now, at_once=False)
    host.settle()
    resign(host, first)
    host.exit(first)
    assert leader(host) is None
    assert second in host.planner.workers


def test_each_worker_learns_how_many_are_wanted() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    assert host.counted == []
    host.planner.scaling.request(3)
    host.settle()
    assert host.counted == [Count(first, 3), Count(second, 3)]
    host.ready(2)
    assert len(host.counted) == 2, "the new one was forked with it"
