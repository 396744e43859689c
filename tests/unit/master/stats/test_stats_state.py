"""What the master has counted and collected goes on in another program."""

from __future__ import annotations

import json
import logging
from typing import Any, TypeVar
from unittest.mock import Mock

import pytest

from reactorhost.bus.backend import BackendState
from reactorhost.histogram import BUCKETS
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.stats.bus_monitor import BusMonitor, BusMonitorState
from reactorhost.master.stats.ended_workers import ExitReason
from reactorhost.master.stats.events import EventRing, EventsState
from reactorhost.master.stats.reported_metrics import MetricsState, ReportedMetrics
from reactorhost.master.stats.samples import Samples, SamplesState
from reactorhost.master.stats.shared_counters import SharedCounterRows
from reactorhost.master.workers.exit_report import Sample
from reactorhost.master.workers.introductions import Introductions, IntroductionsState

T = TypeVar("T")


def passed(kind: type[T], state: T) -> T:
    return from_json(kind, json.loads(json.dumps(to_json(state))))


def sample(at: float, messages: int) -> Sample:
    timings = [Timings(messages, 5, 1, 7), Timings(messages, 2, 3, 4)]
    timings[0].receive[3] = messages
    return Sample(at, Counters(pid=7, messages=messages, accepted=2, connections=1), timings, ("echo",))


def filled_samples() -> Samples:
    samples = Samples()
    samples.worker_ended(6, 0, sample(0.5, 100))
    samples.ended.exits[ExitReason.CRASHED] += 1
    samples.take({7: sample(1.0, 10)}, 1.0)
    samples.take({7: sample(2.0, 30)}, 2.0)
    return samples


def test_totals_and_history_continue() -> None:
    before, after = filled_samples(), Samples()
    # The bus adds to the same object.
    past = after.past
    after.restore(passed(SamplesState, before.export()))
    live = [Counters(messages=40)]
    assert after.past is past
    assert after.totals(live) == before.totals(live)
    assert after.totals(live)["messages"] == 140
    assert after.history() == before.history()
    assert after.rates() == before.rates()
    assert after.plugin_errors() == before.plugin_errors()
    assert after.ended == before.ended
    for each in (before, after):
        each.take({7: sample(3.0, 60)}, 3.0)
    assert after.rates() == before.rates()
    assert after.timed_messages() == 30


def test_histograms_of_a_version_with_other_buckets_are_left_out() -> None:
    state = json.loads(json.dumps(to_json(filled_samples().export())))
    ended, (_, newest) = state["ended"], state["newest"][0]
    for timings in (ended["receive"], *ended["plugins"].values(), *newest["timings"]):
        timings["receive"] = [1, 2]
    after = Samples()
    after.restore(from_json(SamplesState, state))
    assert after.ended.receive.receive == [0] * BUCKETS
    assert after.ended.receive.nanoseconds == 5
    after.take({7: sample(3.0, 60)}, 3.0)
    assert after.latency()["max_seconds"] is not None


def test_the_totals_that_another_version_did_not_have_are_zero() -> None:
    state = json.loads(json.dumps(to_json(filled_samples().export())))
    for point in state["points"]:
        del point["totals"]["bytes_in"]
    after = Samples()
    after.restore(from_json(SamplesState, state))
    assert after.history()["bytes_in"] == [0.0]


def test_the_metrics_of_plugins_continue() -> None:
    before, after = ReportedMetrics(), ReportedMetrics()
    before.update(1, {"counters": {"echo": {"hits": 3}}, "gauges": {"echo": {"open": 1.5}}})
    before.update(2, {"counters": {"echo": {"hits": 4}}, "gauges": {}})
    before.worker_ended(2)
    after.restore(passed(MetricsState, before.export()))
    assert after.of("echo") == before.of("echo") == {"hits": 7, "open": 1.5}
    after.worker_ended(1)
    assert after.of("echo") == {"hits": 7}


def test_rows_of_shared_counters_stay_those_of_their_counters() -> None:
    pool = Mock(scoreboard=Scoreboard(1))
    before, after = (SharedCounterRows(pool, Mock()) for _ in range(2))
    for name in ("hits", "misses"):
        before.requested(1, {"plugin": "echo", "name": name})
    after.restore(passed(dict[tuple[str, str], int], before.export()))
    for name in ("misses", "new", "hits"):
        after.requested(2, {"plugin": "echo", "name": name})
    assert [call.args[1]["row"] for call in pool.order.call_args_list] == [0, 1, 1, 2, 0]


def test_the_state_of_the_bus_continues() -> None:
    pool = Mock(pids=lambda: [1], counters=lambda pid: Counters(), reactor=Mock(now=1.0))
    log = Mock()
    before, after = (BusMonitor(pool, Counters(), log) for _ in range(2))
    before.backend_changed(1, {"state": BackendState.DOWN, "reason": "no route"})
    after.restore(passed(BusMonitorState, before.export()))
    shown = [each.read("redis://x", {1: Counters()}) for each in (after, before)]
    assert shown[0] == shown[1] is not None
    after.backend_changed(1, {"state": BackendState.UP, "reason": ""})
    assert [call.args[0] for call in log.method_calls] == ["bus_backend_down", "bus_backend_up"]


def test_events_and_their_numbers_continue() -> None:
    before, after = (EventRing(logging.getLogger("x")) for _ in range(2))
    before.remember("info", "worker_ready", slot=1)
    after.restore(passed(EventsState, before.export()))
    after.remember("info", "worker_ready", slot=2)
    assert [each["fields"] for each in after.events()] == [{"slot": 2}]
    assert after.counts["worker_ready", "info"] == 2


def test_the_ids_of_events_and_the_crashes_continue() -> None:
    before, after = (EventRing(logging.getLogger("x")) for _ in range(2))
    before.remember("error", "worker_crashed", slot=1, how="signal 9")
    known = before.events()[-1]["id"]
    after.restore(passed(EventsState, before.export()))
    after.remember("error", "worker_crashed", slot=2, how="signal 9")
    [changed] = after.events(known)
    assert (changed["entry"], changed["count"], changed["slots"]) == (before.events()[0]["entry"], 2, [1, 2])
    assert after.crashes() == [changed]


def test_crashes_stay_in_the_order_of_their_ids() -> None:
    before, after = (EventRing(logging.getLogger("x")) for _ in range(2))
    before.remember("error", "worker_crashed", slot=1, how="signal 9")
    for number in range(200):
        before.remember("info", f"event {number}")
    before.remember("error", "worker_crashed", slot=1, how="signal 11")
    after.restore(passed(EventsState, before.export()))
    assert [each["fields"]["how"] for each in after.crashes()] == ["signal 9", "signal 11"]
    # It goes on from the entry that other events have displaced.
    after.remember("error", "worker_crashed", slot=1, how="signal 9")
    assert [(each["fields"]["how"], each["count"]) for each in after.crashes()] == [("signal 11", 1), ("signal 9", 2)]


def test_events_of_an_earlier_version_get_ids() -> None:
    ring = EventRing(logging.getLogger("x"))
    old: Any = [{"time": 1.0, "level": "info", "event": "host_ready", "fields": {"slot": seen}} for seen in (1, 2)]
    ring.restore(EventsState(old, {}, {}))
    assert [(each["id"], each["count"], each["slots"]) for each in ring.events()] == [(1, 1, [1]), (2, 1, [2])]


def test_workers_that_use_the_bus_are_introduced_to_later_ones() -> None:
    pool, reactor = Mock(pids=Mock(return_value=[1])), Mock()
    before, after = (Introductions(reactor, pool, Mock()) for _ in range(2))
    before._uses_bus(1, {})
    before._uses_bus(2, {})
    before._not_introduced(1, {"pid": 2})
    state = passed(IntroductionsState, before.export())
    assert state == IntroductionsState((1, 2), ((1, 2),))
    pool.reset_mock()
    reactor.reset_mock()
    after.restore(state)
    # The pair that is missing is tried again.
    reactor.call_later.assert_called_once()
    reactor.call_later.call_args.args[1]()
    after._uses_bus(3, {})
    orders = [(call.args[0], call.args[1].get("pid")) for call in pool.order.call_args_list]
    assert orders == [(1, 2), (2, 1), (3, 1), (1, 3), (3, 2), (2, 3), (3, None)]


# What is exported, and what need not be.
ATTRIBUTES: dict[type, tuple[set[str], set[str]]] = {
    # Histograms of the present second are made again.
    Samples: ({"past", "ended", "regular_since", "_points", "_newest_wall", "_workers"}, {"_received"}),
    ReportedMetrics: ({"_counters", "_gauges", "_ended"}, set()),
    # The points are those of two seconds.
    BusMonitor: ({"_used", "_backends", "_logged", "_dropped"}, {"_pool", "_past", "_log", "_points", "_lines"}),
    SharedCounterRows: ({"_rows"}, {"_pool", "_cells", "_log", "_lines"}),
    EventRing: ({"_events", "_crashes", "_last_id", "counts", "newest"}, {"logger", "_context", "_clock"}),
}


@pytest.mark.parametrize("kind", ATTRIBUTES, ids=lambda kind: kind.__name__)
def test_every_attribute_is_exported_or_left_out_for_a_reason(kind: type) -> None:
    arguments: dict[type, tuple[Any, ...]] = {
        BusMonitor: (Mock(), Counters(), Mock()),
        SharedCounterRows: (Mock(), Mock()),
        EventRing: (logging.getLogger("x"),),
    }
    exported, left_out = ATTRIBUTES[kind]
    assert set(vars(kind(*arguments.get(kind, ())))) == exported | left_out
