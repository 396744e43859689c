"""The processor time of a worker whose loop does not turn is what the kernel counts."""

from __future__ import annotations

import pytest

from reactorhost.ipc.counters import Counters
from reactorhost.master.stats.silent_processes import SilentProcesses

PID, OTHER = 7, 8
SINCE = 100.0


def test_a_worker_that_spins_has_the_processor_time_of_the_kernel() -> None:
    used = {101.5: 1.5, 102.5: 2.5, 103.5: 2.5}
    now = SINCE
    silent = SilentProcesses(lambda _pid: used[now])
    worker = Counters(pid=PID, tick=SINCE, heartbeat=SINCE, cpu_seconds=0.3)
    percents = []
    for now in used:
        silent.take({PID: worker}, now)
        percents.append(silent.cpu_percent(PID))
    # The first time since it wrote its page: it needs no second before.
    assert percents == [pytest.approx(80.0), 100.0, 0.0]


def test_a_worker_whose_loop_turns_is_not_read() -> None:
    read: list[int] = []
    silent = SilentProcesses(read.append)
    silent.take({PID: Counters(tick=SINCE, heartbeat=SINCE), OTHER: Counters()}, SINCE + 0.9)
    assert read == []
    assert silent.cpu_percent(PID) is None


def test_a_worker_that_turns_again_has_no_reading_any_more() -> None:
    silent = SilentProcesses(lambda _pid: 5.0)
    silent.take({PID: Counters(tick=SINCE, heartbeat=SINCE, cpu_seconds=4.0)}, SINCE + 2.0)
    assert silent.cpu_percent(PID) == 50.0
    silent.take({PID: Counters(tick=SINCE + 3.0, heartbeat=SINCE + 3.0)}, SINCE + 3.0)
    assert silent.cpu_percent(PID) is None


def test_a_worker_that_is_gone_has_none() -> None:
    silent = SilentProcesses(lambda _pid: None)
    silent.take({PID: Counters(tick=SINCE, heartbeat=SINCE)}, SINCE + 2.0)
    assert silent.cpu_percent(PID) is None
