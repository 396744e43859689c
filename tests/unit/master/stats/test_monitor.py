"""Which workers count as stuck, and which have only been suspended with the whole host."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.service_sums import ServiceSums

PID, LIMIT = 7, 30.0


def monitor_of(heartbeat: float) -> Monitor:
    """Return a monitor of one worker whose last heartbeat was then."""
    pool = Mock()
    pool.pids.return_value = [PID]
    pool.samples.return_value = {}
    pool.service_pages.return_value = []
    pool.counters.return_value = SimpleNamespace(heartbeat=heartbeat)
    return Monitor(Mock(longest_turn=0.0), pool, ServiceSums(1))


def stuck(monitor: Monitor, *seconds: float) -> list[tuple[int, float]]:
    """Take a sample in each of these seconds; return the workers that are stuck in the last one."""
    for now in seconds:
        monitor.sample(now)
    return monitor.stalled(LIMIT, seconds[-1])


def test_a_worker_that_is_silent_for_the_whole_limit_is_stuck() -> None:
    monitor = monitor_of(100.0)
    assert stuck(monitor, *range(99, 130)) == []
    assert stuck(monitor, 130) == [(PID, 30.0)]


def test_after_a_suspension_a_worker_has_the_whole_limit_to_turn() -> None:
    monitor = monitor_of(100.0)
    # The master runs first: to it, its workers have been silent for the whole time.
    assert stuck(monitor, 99, 100, 200) == []
    assert stuck(monitor, *range(201, 230)) == []
    assert stuck(monitor, 230) == [(PID, 130.0)]


def test_a_limit_of_zero_is_none() -> None:
    monitor = monitor_of(100.0)
    assert stuck(monitor, *range(99, 200))
    assert monitor.stalled(0.0, 199.0) == []
