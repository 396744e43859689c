"""With many processes few are read at a time, and each in its turn."""

from __future__ import annotations

import pytest

from reactorhost.master.stats.memory_readings import MemoryReadings


@pytest.mark.parametrize(("most_reads", "period"), [(1, 1), (1, 2), (16, 1)])
def test_of_many_processes_the_memory_of_few_is_read_again_at_a_time(most_reads: int, period: int) -> None:
    read: list[int] = []

    def reader(pid: int) -> int:
        read.append(pid)
        return len(read)

    memory, pids = MemoryReadings(reader, most_reads, float(period), least_seconds=0.0, oldest_seconds=10.0), range(64)
    turn = period * len(pids) // most_reads
    # The first time all of them, as a status that is requested once needs them all.
    assert [memory.read(pid, 200.0) for pid in pids] == [*range(1, 65)]
    for now in range(201, 200 + turn):
        assert [memory.read(pid, float(now)) for pid in pids] == [*range(1, 65)]
    read.clear()
    for now in range(200 + turn, 200 + 2 * turn):
        for pid in pids:
            memory.read(pid, float(now))
            memory.read(pid, float(now))
        assert len(read) == min((now - 200 - turn) // period + 1, len(pids)) * most_reads
    assert read == [*pids]
    read.clear()
    # After a long time without a request.
    for pid in pids:
        memory.read(pid, 1000.0)
    assert read == [*pids]


@pytest.mark.parametrize(("least", "read"), [(0.0, 5), (5.0, 2)])
def test_of_few_processes_the_memory_is_read_whenever_it_is_old_enough(least: float, read: int) -> None:
    found: list[int] = []
    memory = MemoryReadings(found.append, 2, 1.0, least_seconds=least, oldest_seconds=10.0)
    for now in (100.0, 100.1, 100.2, 104.9, 105.0):
        for pid in (7, 8):
            memory.read(pid, now)
    assert found == [7, 8] * read
