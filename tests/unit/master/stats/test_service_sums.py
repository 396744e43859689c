"""Sums of services over workers: totals that never fall, rates, latencies and the shares of plugins."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from reactorhost.histogram import BUCKETS, bucket
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.service_pages import Lanes, ServicePages, ServiceRecords, ServiceTimings
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.stats.samples import worker_totals
from reactorhost.master.stats.service_sums import ServiceSums, ServiceSumsState


def record(
    messages: int = 0, connections: int = 0, seconds: float = 1e-3, work: tuple[int, ...] = ()
) -> tuple[Counters, ServiceTimings]:
    """Return what a worker counted and timed in a service, whose calls of `receive` each took so long."""
    receive = [0] * BUCKETS
    receive[bucket(round(seconds * 1e9))] = messages
    timings = ServiceTimings(messages, messages, receive)
    timings.work[: len(work)] = work
    return Counters(accepted=messages, messages=messages, connections=connections), timings


def workers(*stored: Sequence[tuple[Counters, ServiceTimings]], services: int = 1) -> list[tuple[ServicePages, int]]:
    """Return where these workers have stored their records."""
    pages = ServicePages(max(1, len(stored)), services)
    for page, records in enumerate(stored):
        for service, (counters, timings) in enumerate(records):
            pages.write_counters(page, service, counters)
            pages.write_timings(page, service, timings)
    return [(pages, page) for page in range(len(stored))]


def last_records(*stored: tuple[Counters, ServiceTimings]) -> ServiceRecords:
    """Return the records of a worker that has ended."""
    [(pages, page)] = workers(stored, services=len(stored))
    return pages.read(page)


def test_totals_and_rates_are_sums_over_the_workers_of_each_service() -> None:
    sums = ServiceSums(2)
    sums.take(workers([record(10), record(1)], [record(20), record(2)], services=2), 1.0)
    assert set(sums.rates(0).values()) == {0}
    sums.take(workers([record(15, 1), record(1)], [record(40, 2), record(4)], services=2), 3.0)
    assert [sums.counters(service).messages for service in (0, 1)] == [55, 5]
    assert [sums.rates(service)["messages"] for service in (0, 1)] == [12.5, 1.0]
    assert [sums.counters(service).connections for service in (0, 1)] == [3, 0]


def test_before_the_first_sample_everything_is_zero_or_unknown() -> None:
    sums = ServiceSums(1)
    assert set(worker_totals(sums.counters(0)).values()) | set(sums.rates(0).values()) == {0}
    assert set(sums.latency(0).values()) == {None}
    assert sums.time_shares(0, 2) == [None, None]


def test_a_worker_that_ends_leaves_its_totals_and_not_its_connections() -> None:
    sums = ServiceSums(1)
    ending, other = record(10, connections=4), record(1, connections=1)
    sums.take(workers([ending], [other]), 1.0)
    sums.worker_ended(last_records(ending))
    # As of the last sample, in which the worker still was.
    assert sums.counters(0).messages == 11
    # The third has stored nothing yet.
    sums.take(workers([other], []), 2.0)
    assert (sums.counters(0).messages, sums.counters(0).connections) == (11, 1)
    assert sums.rates(0)["messages"] == 0.0
    assert sums.timings(0).calls == 11


def test_a_worker_that_has_no_records_changes_nothing() -> None:
    sums = ServiceSums(2)
    sums.worker_ended(ServiceRecords())
    sums.take(workers([record(1), record(2)], services=2), 1.0)
    assert [sums.counters(service).messages for service in (0, 1)] == [1, 2]


def test_latency_and_shares_are_of_the_window() -> None:
    sums = ServiceSums(1)
    slow, fast = bucket(10**9), bucket(10**4)
    counters, timings = record(1000, seconds=1.0, work=(10**12, 0))
    sums.take(workers([(counters, timings)]), 0.0)
    assert sums.latency(0)["max_seconds"] is None
    for second in range(1, 7):
        timings.receive[fast] += 10
        timings.work[:2] = [timings.work[0] + 100, timings.work[1] + 300]
        sums.take(workers([(counters, timings)]), float(second))
        assert sums.latency(0)["max_seconds"] == pytest.approx(1e-5, rel=0.2)
    # A plugin beyond those that have times of their own is unknown.
    assert sums.time_shares(0, 17) == [0.25, 0.75, *[0.0] * 14, None]
    timings.receive[slow] += 1
    sums.take(workers([(counters, timings)]), 7.0)
    assert sums.latency(0)["max_seconds"] == pytest.approx(1.0, rel=0.2)
    sums.take(workers([(counters, timings)]), 8.0)
    for second in range(9, 13):
        sums.take(workers([(counters, timings)]), float(second))
    assert sums.latency(0)["max_seconds"] is None


def test_a_host_of_many_workers_and_services_adds_up_the_timings_of_some_services_a_second() -> None:
    sums, reads = ServiceSums(5), Counter[int]()
    # So many that two services of each are what is read in a second.
    stored = workers(*[[record(1)] * 5] * 128, services=5)
    live: Any = [
        (Mock(counted=pages.counted, timed=partial(_counted_read, reads, pages)), page) for pages, page in stored
    ]
    for second in range(5):
        sums.take(live, float(second))
        assert reads.total() == 2 * 128 * (second + 1)
    assert set(reads.values()) == {2 * 128}
    assert [sums.timings(service).calls for service in range(5)] == [128] * 5
    assert [sums.counters(service).messages for service in range(5)] == [128] * 5


def _counted_read(reads: Counter[int], pages: ServicePages, page: int, service: int) -> int:
    reads[service] += 1
    return pages.timed(page, service)


def test_the_sums_of_ended_workers_continue_in_another_program() -> None:
    before, after = ServiceSums(2), ServiceSums(2)
    before.worker_ended(last_records(record(10), record(20)))
    state = json.loads(json.dumps(to_json(before.export())))
    after.restore(from_json(ServiceSumsState, state))
    after.take(workers([record(1), record(2)], services=2), 1.0)
    assert [after.counters(service).messages for service in (0, 1)] == [11, 22]
    assert sum(after.timings(0).receive) == 11


def test_sums_of_another_version_continue_by_the_names_of_their_lanes() -> None:
    sums = ServiceSums(1)
    sums.restore(replace(ServiceSumsState(((7, 8),)), lanes=Lanes(("removed", "messages"), ())))
    sums.take([], 1.0)
    assert sums.counters(0).messages == 8
