"""Metrics of plugins: they are checked, changes are reported, and sums of counters never decrease."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import copy_context
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost import hookimpl
from reactorhost.api.counter import Counter
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import MAX_METRICS
from reactorhost.master.stats.reported_metrics import ReportedMetrics
from reactorhost.plugins.chain import resolve_worker
from reactorhost.plugins.loading import load_object
from reactorhost.reactor.timers import Timers
from reactorhost.worker.hooks.metrics import Metrics, MetricsReport
from reactorhost.worker.hooks.shared_counters import counters_without_host


class Reported:
    """The metrics of a plugin `made`, and what was reported about them."""

    def __init__(self, stats: Callable[[], Any] | None = None) -> None:
        self.failures: list[str] = []
        self.problems: list[str] = []
        plugin = ModuleType("made")
        vars(plugin).update({"worker_start": hookimpl(lambda: None)})
        if stats is not None:
            vars(plugin).update({"stats": hookimpl(stats)})
        hooks = resolve_worker([load_object(plugin, "made")], self.failed).stats
        self.metrics = Metrics(hooks, copy_context(), self.failed, self.invalid, counters_without_host())

    def failed(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        self.failures.append(f"{plugin} {hook}: {type(error).__name__}")

    def invalid(self, plugin: str, reason: str) -> None:
        self.problems.append(f"{plugin}: {reason}")


def test_the_same_name_is_the_same_counter_and_each_plugin_has_its_own() -> None:
    metrics = Reported().metrics
    hits = metrics.counter("made", "hits")
    hits.add()
    hits.add(4)
    assert metrics.counter("made", "hits") is hits
    assert (hits.name, hits.value) == ("hits", 5)
    assert metrics.counter("other", "hits").value == 0
    assert metrics.counted() == {"made": {"hits": 5}, "other": {"hits": 0}}


@pytest.mark.parametrize("name", ["", "Hits", "1st", "a b", "a-b", "a" * 65, "hits\n", 3, None])
def test_a_malformed_counter_name_raises(name: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid metric name: up to 64 of a-z 0-9"):
        Reported().metrics.counter("made", name)


def test_a_counter_beyond_the_limit_raises() -> None:
    metrics = Reported().metrics
    for number in range(MAX_METRICS):
        metrics.counter("made", f"n{number}")
    with pytest.raises(ValueError, match="'more' would exceed the limit of 50 metrics"):
        metrics.counter("made", "more")
    metrics.counter("made", "n0")
    metrics.counter("other", "more")


@pytest.mark.parametrize(
    ("returned", "kept", "reason"),
    [
        ([1], {}, r"it returned [1], which is not a mapping of names to numbers"),
        (None, {}, "it returned None, which is not a mapping of names to numbers"),
        ({"a": 1, "b": "2"}, {"a": 1}, "'b' is '2', which is not a finite 64-bit number"),
        ({"a": True}, {}, "'a' is True, which is not a finite 64-bit number"),
        ({"a": math.nan, "b": math.inf, "c": 0.5}, {"c": 0.5}, "'a' is nan, which is not a finite 64-bit number"),
        (
            {"a": 2**63, "b": -(2**63) + 1},
            {"b": -(2**63) + 1},
            "'a' is 9223372036854775808, which is not a finite 64-bit number",
        ),
        ({3: 1}, {}, "3 is not a valid metric name: up to 64 of a-z 0-9 _ . starting with a letter"),
        (
            {f"n{at}": at for at in range(51)},
            {f"n{at}": at for at in range(49)},
            "'n49' exceeds the limit of 50 metrics",
        ),
        ({"hits": 3}, {}, "'hits' is already a counter"),
    ],
)
def test_invalid_items_of_stats_are_dropped_and_the_first_is_reported(
    returned: Any, kept: dict[str, float], reason: str
) -> None:
    reported = Reported(lambda: returned)
    reported.metrics.counter("made", "hits")
    assert reported.metrics.gauged(0.0) == {"made": kept}
    (problem,) = reported.problems
    assert problem.startswith(f"made: {reason}")


def test_an_exception_of_stats_is_reported_once_a_minute_and_has_no_gauges() -> None:
    def fail() -> None:
        raise SystemExit

    reported = Reported(fail)
    for second in range(61):
        assert reported.metrics.gauged(1000.0 + second) == {"made": {}}
    assert reported.failures == ["made stats: NotAnExceptionError"] * 2


class Broken(dict[str, int]):
    """A mapping that raises while it is read."""

    def items(self) -> Any:
        raise KeyError("gone")


def test_a_mapping_that_raises_counts_as_a_failed_hook() -> None:
    reported = Reported(lambda: Broken())  # noqa: PLW0108  a class is no hook
    assert reported.metrics.gauged(0.0) == {"made": {}}
    assert reported.failures == ["made stats: KeyError"]


class Clock:
    """What a metrics report needs of a reactor."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = Timers()

    def clock(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> None:
        self.timers.add(when, callback, ())

    def pass_second(self) -> None:
        self.now += 1.0
        for timer in self.timers.pop_due(self.now):
            assert timer.callback is not None
            timer.callback()


def test_changes_are_reported_once_a_second_and_at_the_end() -> None:
    size = {"size": 1}
    metrics = Reported(lambda: dict(size)).metrics
    sent: list[Message] = []
    clock: Any = Clock()
    metrics_report = MetricsReport(clock, metrics, sent.append)
    metrics_report.start()
    assert sent == []
    clock.pass_second()
    assert sent.pop() == {"report": "stats", "counters": {}, "gauges": {"made": {"size": 1}}}
    clock.pass_second()
    assert sent == []
    metrics.counter("made", "hits").add(2)
    clock.pass_second()
    assert sent.pop() == {"report": "stats", "counters": {"made": {"hits": 2}}, "gauges": {}}
    size["size"] = 2
    metrics.counter("made", "hits").add()
    metrics_report.send_last()
    assert sent == [{"report": "stats", "counters": {"made": {"hits": 3}}, "gauges": {}}]


def report(pid: int, metrics: ReportedMetrics, counters: dict[str, float], gauges: dict[str, float]) -> None:
    metrics.update(pid, {"counters": {"made": counters}, "gauges": {"made": gauges}})


def test_counters_of_ended_workers_are_kept_and_gauges_are_not() -> None:
    metrics = ReportedMetrics()
    report(1, metrics, {"hits": 5}, {"size": 7})
    report(2, metrics, {"hits": 6}, {"size": 8})
    assert metrics.of("made") == {"hits": 11, "size": 15}
    metrics.worker_ended(1)
    metrics.worker_ended(1)
    metrics.worker_ended(99)
    assert metrics.of("made") == {"hits": 11, "size": 8}
    assert metrics.of("other") == {}


def test_names_that_change_with_every_reload_do_not_accumulate_in_the_master() -> None:
    metrics = ReportedMetrics()
    for generation in range(100):
        report(generation, metrics, {"kept": 1, **{f"g{generation}.n{at}": at for at in range(49)}}, {})
        metrics.worker_ended(generation)
    assert len(metrics._ended["made"]) == MAX_METRICS
    assert metrics.of("made")["kept"] == 100


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 9)), max_size=60))
def test_a_sum_of_counters_never_decreases(steps: list[tuple[int, bool, int]]) -> None:
    metrics = ReportedMetrics()
    counted: dict[int, int] = {}
    before = 0
    for pid, ends, more in steps:
        if ends:
            metrics.worker_ended(pid)
            counted.pop(pid, None)
        else:
            counted[pid] = counted.get(pid, 0) + more
            report(pid, metrics, {"hits": counted[pid]}, {})
        now = int(metrics.of("made").get("hits", 0))
        assert now >= before
        before = now
    assert before == sum(more for _, ends, more in steps if not ends)


@pytest.mark.parametrize("n", [-5, float("nan"), 2**70, float("inf")], ids=repr)
def test_a_counter_only_grows_and_stays_a_number(n: float) -> None:
    counter = Counter("hits")
    counter.add(2.5)
    with pytest.raises(ValueError, match=r"counter 'hits' is at 2\.5, and cannot grow by"):
        counter.add(n)
    assert counter.value == 2.5


def test_a_name_is_a_counter_or_a_shared_one() -> None:
    reported = Reported(lambda: {"size": 1, "visits": 2})
    metrics = reported.metrics
    metrics.counter("made", "hits")
    visits = metrics.shared_counter("made", "visits")
    assert metrics.shared_counter("made", "visits") is visits
    with pytest.raises(ValueError, match="'hits' is already a counter"):
        metrics.shared_counter("made", "hits")
    with pytest.raises(ValueError, match="'visits' is already a shared counter"):
        metrics.counter("made", "visits")
    metrics.counter("other", "visits")
    with pytest.raises(ValueError, match="is not a valid metric name"):
        metrics.shared_counter("made", "Visits")
    assert metrics.gauged(0.0) == {"made": {"size": 1}}
    assert reported.problems == ["made: 'visits' is already a shared counter"]


def test_shared_counters_are_not_reported() -> None:
    metrics = Reported().metrics
    sent: list[Message] = []
    clock: Any = Clock()
    MetricsReport(clock, metrics, sent.append).start()
    metrics.shared_counter("made", "visits").add()
    clock.pass_second()
    assert sent == []
