"""Timers of a plugin's `Worker` that follow the clocks of the host, on a bench."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from reactorhost import Worker, hookimpl
from reactorhost.testing import PluginBench

Bench = Callable[..., PluginBench]


class Idle:
    @hookimpl
    def receive(self, data: bytes) -> None:
        """Discard what comes."""


class AsyncIdle:
    @hookimpl
    async def receive(self, data: bytes) -> None:
        """Discard what comes."""


@pytest.fixture
def bench(plugin_bench: Bench) -> PluginBench:
    return plugin_bench(Idle())


def test_ticks_of_the_host_are_multiples_of_the_interval(bench: PluginBench) -> None:
    ticks: list[float] = []
    timer = bench.worker.call_every(0.5, lambda *args: ticks.append(bench.worker.now() % 0.5), "x", once="host")
    bench.advance(2.0)
    assert len(ticks) == 4
    # Just after a multiple; the clock of the bench is moved by sums.
    assert all(tick < 1e-6 or tick > 0.5 - 1e-6 for tick in ticks)
    timer.cancel()
    bench.advance(2.0)
    assert len(ticks) == 4


@pytest.mark.parametrize("once", ["worker", "host"])
def test_cron_times_come_as_time_is_advanced(bench: PluginBench, once: Any) -> None:
    calls: list[str] = []
    timer = bench.worker.call_cron("0 * * * *", calls.append, "hour", once=once, timezone="UTC")
    bench.worker.call_cron("30 12 * * *", calls.append, "noon", once=once, timezone="UTC")
    bench.advance(24 * 3600)
    assert (calls.count("hour"), calls.count("noon")) == (24, 1)
    timer.cancel()
    bench.advance(24 * 3600)
    assert (calls.count("hour"), calls.count("noon")) == (24, 2)


def test_a_cron_time_is_met_to_the_second(bench: PluginBench) -> None:
    seen: list[float] = []
    begin = datetime.now(UTC).timestamp() - bench.worker.now()
    bench.worker.call_cron("*/5 * * * *", lambda: seen.append((bench.worker.now() + begin) % 300), timezone="UTC")
    bench.advance(1000)
    assert len(seen) in {3, 4}
    assert all(each < 5 or each > 295 for each in seen)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda worker: worker.call_every(1, print, once="hosts"), ValueError, "once must be 'worker' or 'host', not"),
        (lambda worker: worker.call_cron("* * * * *", print, once=None), ValueError, "once must be"),
        (lambda worker: worker.call_every(0, print, once="host"), ValueError, "must be at least 0.001 seconds, not 0"),
        (lambda worker: worker.call_every("1", print, once="host"), TypeError, "seconds must be a number"),
        (lambda worker: worker.call_every(1e400, print, once="host"), ValueError, "seconds must be finite"),
        (lambda worker: worker.call_cron("* * *", print), ValueError, "must have five fields"),
        (lambda worker: worker.call_cron("* * * * *", print, timezone="X"), ValueError, "there is no time zone 'X'"),
    ],
)
def test_what_is_wrong_is_refused(
    bench: PluginBench, call: Callable[[Worker], object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        call(bench.worker)


@pytest.mark.parametrize("once", ["worker", "host"])
def test_an_exception_is_reported_and_does_not_stop_a_job(bench: PluginBench, once: Any) -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise ValueError("no")

    job = bench.worker.call_cron("* * * * *", fails, once=once)
    for number in (1, 2):
        with pytest.raises(ValueError, match="no") as raised:
            bench.advance(60)
        assert raised.value.__notes__ == ["raised in timer of plugin Idle"]
        assert len(calls) == number
    # The end of the bench takes a second, which a minute may end in.
    job.cancel()


def test_times_that_come_while_an_async_job_runs_are_skipped(plugin_bench: Bench) -> None:
    bench = plugin_bench(AsyncIdle())
    seen: list[str] = []

    async def job() -> None:
        seen.append("begins")
        await asyncio.sleep(150)
        seen.append("ends")

    bench.worker.call_cron("* * * * *", job)
    while not seen:
        bench.advance(1)
    bench.advance(160)
    assert seen == ["begins", "ends"]
    bench.advance(25)
    assert seen == ["begins", "ends", "begins"]


def test_jobs_end_with_the_worker(bench: PluginBench) -> None:
    calls: list[int] = []
    bench.worker.call_cron("* * * * *", calls.append, 1)
    bench.worker.call_every(1, calls.append, 1, once="host")
    bench.stop()
    count = len(calls)
    bench.advance(120)
    assert len(calls) == count
