"""Samples become rates, percentiles, totals and history."""

from __future__ import annotations

import pytest

from reactorhost.histogram import bucket
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.master.stats.samples import Samples
from reactorhost.master.workers.exit_report import Sample


def timings(calls: int, seconds: float, errors: int = 0) -> Timings:
    made = Timings(calls, int(calls * seconds * 1e9), errors, int(calls * seconds * 1e9))
    made.receive[bucket(int(seconds * 1e9))] = calls
    return made


def sample(at: float, messages: int, *, errors: int = 0, connections: int = 1, cpu: float = 0.0) -> Sample:
    counters = Counters(
        pid=7,
        tick=at,
        connections=connections,
        accepted=messages // 10,
        messages=messages,
        bytes_in=messages * 32,
        bytes_out=messages * 32,
        hook_errors=errors,
        cpu_seconds=cpu,
    )
    calls = messages // 20
    return Sample(
        at, counters, [timings(calls, 2e-5), timings(calls, 1e-5, errors), timings(calls // 2, 4e-5)], ("a", "b")
    )


def test_rates_are_differences_over_the_time_between() -> None:
    samples = Samples()
    samples.take({7: sample(10.0, 1000)}, 10.0)
    assert samples.rates()["messages"] == 0.0, "one look makes no rate"
    samples.take({7: sample(12.0, 1500, cpu=0.5)}, 12.0)
    assert samples.rates()["messages"] == samples.worker_rates(7)["messages"] == 250.0
    assert samples.rates()["bytes_in"] == 8000.0
    assert samples.load(7) == (25.0, 0.0)
    assert samples.closed_rate() == 25.0
    assert samples.load(8) == (None, None)
    assert samples.worker_rates(8)["messages"] == 0.0


def test_totals_and_errors_of_workers_that_ended_stay() -> None:
    samples = Samples()
    samples.take({7: sample(1.0, 1000, errors=3)}, 1.0)
    samples.worker_ended(7, 0, sample(1.5, 1200, errors=4))
    assert samples.plugin_errors() == {"a": 4, "b": 0}, "not counted twice until the next second"
    samples.take({8: sample(2.0, 50, errors=1)}, 2.0)
    assert samples.totals([Counters(messages=50)])["messages"] == 1250
    assert samples.plugin_errors() == {"a": 5, "b": 0}
    assert samples.rates()["messages"] == 250.0, "nothing is lost between two workers, and no rate is negative"


def test_what_the_limits_for_clients_stopped_stays_when_a_worker_ends() -> None:
    samples = Samples()
    ended = Counters(denied=1, over_address_limit=2, late_messages=3, rate_pauses=4)
    samples.worker_ended(7, 0, Sample(1.0, ended, [Timings()], ()))
    assert samples.limited([Counters(denied=10), Counters(rate_pauses=10)]) == {
        "denied": 11,
        "over_address_limit": 2,
        "late_messages": 3,
        "rate_pauses": 14,
    }


def test_percentiles_are_of_the_last_seconds_only() -> None:
    samples = Samples()
    slow = Sample(1.0, Counters(), [timings(1000, 1.0)], ())
    samples.take({7: slow}, 1.0)
    for second in range(2, 9):
        whole = timings(1000, 1.0)
        whole.receive[bucket(10_000)] += 10 * second
        whole.calls += 10 * second
        samples.take({7: Sample(float(second), Counters(), [whole], ())}, float(second))
    found = samples.worker_latency(7)
    assert found["max_seconds"] == pytest.approx(1e-5, rel=0.13)
    assert samples.latency() == found
    assert Samples().latency()["p50_seconds"] is None


def test_a_worker_without_calls_in_the_window_has_no_percentiles() -> None:
    samples = Samples()
    for second in range(1, 9):
        idle, busy = sample(float(second), 100), sample(float(second), 100 * second)
        samples.take({7: idle, 8: busy}, float(second))
    assert set(samples.worker_latency(7).values()) == {None}
    assert samples.latency() == samples.worker_latency(8)
    assert (samples.plugin_sums()["a"].calls, sum(samples.plugin_sums()["a"].receive)) == (25, 25)


def test_the_plugins_shares_are_scaled_from_what_was_timed() -> None:
    samples = Samples()
    samples.take({7: sample(1.0, 0)}, 1.0)
    samples.take({7: sample(2.0, 2000)}, 2.0)
    sums = samples.plugin_sums()
    assert samples.timed_messages() == 100
    assert (sums["a"].calls, sums["b"].calls) == (100, 50)
    assert sums["b"].nanoseconds == 2 * sums["a"].nanoseconds


def test_history_has_a_sample_a_second_and_five_minutes_at_most() -> None:
    samples = Samples()
    for second in range(400):
        samples.take({7: sample(float(second), second * 100, connections=second)}, float(second))
    history = samples.history()
    lengths = {len(values) for values in history.values() if isinstance(values, list)}
    assert lengths == {300}
    assert history["messages"] == [100.0] * 300
    assert history["connections"][-1] == 399
    assert Samples().history()["messages"] == []


def test_after_being_held_up_it_counts_regular_time_anew() -> None:
    samples = Samples()
    for second in (1.0, 2.0, 3.0):
        samples.take({}, second)
    assert samples.regular_since == 1.0
    samples.take({}, 30.0)
    assert samples.regular_since == 30.0


def test_percentiles_follow_new_samples_and_the_end_of_a_worker() -> None:
    samples = Samples()
    samples.take({7: sample(1.0, 20), 8: sample(1.0, 20)}, 1.0)
    assert samples.latency()["max_seconds"] == pytest.approx(2e-5, rel=0.13)
    slow = sample(2.0, 40)
    slow.timings[0].receive[bucket(10**9)] += 1
    samples.take({7: slow, 8: sample(2.0, 40)}, 2.0)
    assert samples.worker_latency(7)["max_seconds"] == pytest.approx(1.0, rel=0.13)
    samples.worker_ended(7, 0, slow)
    assert samples.latency()["max_seconds"] == pytest.approx(2e-5, rel=0.13)
