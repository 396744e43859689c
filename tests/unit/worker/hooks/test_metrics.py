"""Numbers of plugins: what they hand over is looked at, changes are told, and sums of counters never fall."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost import hookimpl
from reactorhost.ipc.jsonlines import Message
from reactorhost.master.stats.plugin_metrics import PluginMetrics
from reactorhost.plugins.chain import resolve_worker
from reactorhost.plugins.loading import load_object
from reactorhost.reactor.timers import Timers
from reactorhost.worker.hooks.metrics import MOST_NAMES, Counter, Metrics
from reactorhost.worker.monitor.metrics_report import MetricsReport


class Told:
    """The numbers of a plugin `made`, and what was told about them."""

    def __init__(self, stats: Callable[[], Any] | None = None) -> None:
        self.failures: list[str] = []
        self.refusals: list[str] = []
        plugin = ModuleType("made")
        vars(plugin).update({"worker_start": hookimpl(lambda: None)})
        if stats is not None:
            vars(plugin).update({"stats": hookimpl(stats)})
        hooks = resolve_worker([load_object(plugin, "made")], self.failed).stats
        self.metrics = Metrics(hooks, self.failed, self.refused)

    def failed(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        self.failures.append(f"{plugin} {hook}: {type(error).__name__}")

    def refused(self, plugin: str, reason: str) -> None:
        self.refusals.append(f"{plugin}: {reason}")


def test_the_same_name_is_the_same_counter_and_each_plugin_has_its_own() -> None:
    metrics = Told().metrics
    hits = metrics.counter("made", "hits")
    hits.add()
    hits.add(4)
    assert metrics.counter("made", "hits") is hits
    assert (hits.name, hits.value) == ("hits", 5)
    assert metrics.counter("other", "hits").value == 0
    assert metrics.counted() == {"made": {"hits": 5}, "other": {"hits": 0}}


@pytest.mark.parametrize("name", ["", "Hits", "1st", "a b", "a-b", "a" * 65, "hits\n", 3, None])
def test_a_counter_with_another_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is no name for a number: up to 64 of a-z 0-9"):
        Told().metrics.counter("made", name)


def test_one_counter_too_many_is_refused() -> None:
    metrics = Told().metrics
    for number in range(MOST_NAMES):
        metrics.counter("made", f"n{number}")
    with pytest.raises(ValueError, match="'more' would be one more than the 50"):
        metrics.counter("made", "more")
    metrics.counter("made", "n0")
    metrics.counter("other", "more")


@pytest.mark.parametrize(
    ("returned", "kept", "reason"),
    [
        ([1], {}, r"it returned [1], which is no mapping of names to numbers"),
        (None, {}, "it returned None, which is no mapping of names to numbers"),
        ({"a": 1, "b": "2"}, {"a": 1}, "'b' is '2', which is no number"),
        ({"a": True}, {}, "'a' is True, which is no number"),
        ({"a": math.nan, "b": math.inf, "c": 0.5}, {"c": 0.5}, "'a' is nan, which is no number"),
        ({"a": 2**63, "b": -(2**63) + 1}, {"b": -(2**63) + 1}, "'a' is 9223372036854775808, which is no number"),
        ({3: 1}, {}, "3 is no name for a number: up to 64 of a-z 0-9 _ . with a letter first"),
        ({f"n{at}": at for at in range(51)}, {f"n{at}": at for at in range(49)}, "'n49' is one more than the 50"),
        ({"hits": 3}, {}, "'hits' is a counter already"),
    ],
)
def test_what_stats_returns_is_held_to_names_and_numbers(returned: Any, kept: dict[str, float], reason: str) -> None:
    told = Told(lambda: returned)
    told.metrics.counter("made", "hits")
    assert told.metrics.gauged(0.0) == {"made": kept}
    (refusal,) = told.refusals
    assert refusal.startswith(f"made: {reason}")


def test_stats_that_raises_is_told_once_a_minute_and_has_no_numbers_meanwhile() -> None:
    def fail() -> None:
        raise SystemExit

    told = Told(fail)
    for second in range(61):
        assert told.metrics.gauged(1000.0 + second) == {"made": {}}
    assert told.failures == ["made stats: ExitCalledError"] * 2


class Endless(dict[str, int]):
    """A mapping that fails while it is looked at."""

    def items(self) -> Any:
        raise KeyError("gone")


def test_a_mapping_that_raises_is_the_plugins_failure() -> None:
    told = Told(lambda: Endless())  # noqa: PLW0108  a class is no hook
    assert told.metrics.gauged(0.0) == {"made": {}}
    assert told.failures == ["made stats: KeyError"]


class Clock:
    """What a bulletin needs of a reactor."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = Timers()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        self.timers.add(self.now + seconds, callback, ())

    def pass_second(self) -> None:
        self.now += 1.0
        for timer in self.timers.pop_due(self.now):
            assert timer.callback is not None
            timer.callback()


def test_only_what_changed_is_told_once_a_second_and_at_the_end() -> None:
    size = {"size": 1}
    metrics = Told(lambda: dict(size)).metrics
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


def report(pid: int, metrics: PluginMetrics, counters: dict[str, float], gauges: dict[str, float]) -> None:
    metrics.told(pid, {"counters": {"made": counters}, "gauges": {"made": gauges}})


def test_counters_of_workers_that_ended_still_count_and_gauges_do_not() -> None:
    metrics = PluginMetrics()
    report(1, metrics, {"hits": 5}, {"size": 7})
    report(2, metrics, {"hits": 6}, {"size": 8})
    assert metrics.of("made") == {"hits": 11, "size": 15}
    metrics.ended(1)
    metrics.ended(1)
    metrics.ended(99)
    assert metrics.of("made") == {"hits": 11, "size": 8}
    assert metrics.of("other") == {}


def test_names_that_every_reload_invents_do_not_pile_up_in_the_master() -> None:
    metrics = PluginMetrics()
    for generation in range(100):
        report(generation, metrics, {"kept": 1, **{f"g{generation}.n{at}": at for at in range(49)}}, {})
        metrics.ended(generation)
    assert len(metrics._past["made"]) == MOST_NAMES
    assert metrics.of("made")["kept"] == 100


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 9)), max_size=60))
def test_a_sum_of_counters_never_falls(steps: list[tuple[int, bool, int]]) -> None:
    metrics = PluginMetrics()
    counted: dict[int, int] = {}
    before = 0
    for pid, ends, more in steps:
        if ends:
            metrics.ended(pid)
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
