"""Time on the bench: timers, timeouts and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import reactorhost_echo
from hook_modules import of
from reactorhost import CloseReason, Connection, Worker, hookimpl
from reactorhost.testing import PluginBench

Start = Callable[..., PluginBench]


def test_timers_are_called_when_time_passes_as_often_as_they_are_due(plugin_bench: Start) -> None:
    ticks: list[str] = []

    def worker_start(worker: Worker) -> None:
        worker.call_every(0.1, ticks.append, "every")
        worker.call_later(0.35, ticks.append, "later")

    bench = plugin_bench(of(worker_start=worker_start))
    bench.advance(0.3)
    assert ticks == ["every"] * 3
    bench.advance(0.7)
    assert ticks == ["every"] * 3 + ["later"] + ["every"] * 7
    with pytest.raises(ValueError, match="time does not go back"):
        bench.advance(-1)
    bench.stop()
    ticked = len(ticks)
    bench.advance(1.0)
    assert len(ticks) == ticked


def test_what_a_timer_raises_is_the_tests(plugin_bench: Start) -> None:
    def spoil() -> None:
        raise ValueError("late")

    def connect(connection: Connection) -> None:
        connection.call_later(1.0, spoil)

    bench = plugin_bench(of(connect=connect))
    client = bench.connect()
    bench.advance(0.9)
    with pytest.raises(ValueError, match="late"):
        bench.advance(0.1)
    assert client.closed is CloseReason.ERROR

    bench.worker.call_later(1.0, spoil)
    with pytest.raises(ValueError, match="late") as raised:
        bench.advance(1.0)
    assert raised.value.__notes__ == ["raised in timer of plugin made"]


def test_a_timer_of_the_worker_is_that_of_the_plugin_that_set_it(plugin_bench: Start) -> None:
    class Named:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            self.worker = worker

        @hookimpl
        def worker_stop(self, worker: Worker) -> None:
            assert worker is self.worker

    class Other(Named):
        pass

    bench = plugin_bench(named := Named(), other := Other())
    assert (bench.worker, bench.worker.plugin, other.worker.plugin) == (named.worker, "Named", "Other")
    # Nothing of a plugin is on the traceback.
    other.worker.call_later(1.0, int, "no number")
    with pytest.raises(ValueError, match="no number") as raised:
        bench.advance(1.0)
    assert raised.value.__notes__ == ["raised in timer of plugin Other"]


def test_silence_ends_a_connection_where_the_bench_says_so(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo, idle_timeout=10.0)
    client = bench.connect()
    bench.advance(9.0)
    client.send(b"x")
    bench.advance(9.0)
    assert client.closed is None
    bench.advance(1.0)
    assert client.closed is CloseReason.IDLE


class Threaded:
    """Answer with what a thread makes of the data."""

    def __init__(self, function: Callable[[bytes], bytes] = bytes.upper) -> None:
        self.function = function

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker
        self.calls = worker.counter("calls")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.calls.add()
        self.worker.run_in_thread(self.function, data, on_result=connection.send)

    @hookimpl
    def stats(self) -> dict[str, object]:
        return {"clients": len(list(self.worker.connections))}


def test_what_runs_in_a_thread_is_waited_for(plugin_bench: Start) -> None:
    # Those of other tests may end meanwhile.
    before = set(threading.enumerate())
    bench = plugin_bench(Threaded())
    client = bench.connect()
    for word in (b"one", b"two", b"three"):
        client.send(word)
    assert client.received == b"ONETWOTHREE"
    bench.stop()
    assert set(threading.enumerate()) <= before


def test_what_raises_in_a_thread_comes_out_as_from_a_hook(plugin_bench: Start) -> None:
    client = plugin_bench(Threaded(lambda data: {b"": data}[data])).connect()
    with pytest.raises(KeyError) as raised:
        client.send(b"x")
    assert raised.value.__notes__ == ["raised in thread of plugin Threaded"]
    assert client.closed is None


def test_a_thread_that_never_returns_is_reported(plugin_bench: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(data: bytes) -> bytes:
        assert release.wait(20)
        return data

    client = plugin_bench(Threaded(hang)).connect()
    with monkeypatch.context() as patch:
        patch.setattr("reactorhost.testing.bench_time._THREAD_SECONDS", 0.01)
        with pytest.raises(TimeoutError, match=r"run_in_thread: .*hang did not return within 0.01 s"):
            client.send(b"x")
    release.set()


def test_the_numbers_of_a_plugin_are_at_hand(plugin_bench: Start) -> None:
    wrong = of(stats=lambda: {"Wrong": 1})
    bench = plugin_bench(Threaded(), wrong)
    bench.connect().send(b"x")
    for _ in range(2):
        with pytest.raises(ValueError, match="'Wrong' is not a valid metric name"):
            bench.stats()
    bench = plugin_bench(Threaded())
    bench.connect().send(b"x")
    assert bench.stats() == bench.stats("Threaded") == {"calls": 1, "clients": 1}
    assert bench.stats("other") == {}


def test_a_timer_that_is_due_now_needs_no_advance(plugin_bench: Start) -> None:
    calls: list[str] = []
    bench = plugin_bench(reactorhost_echo)
    bench.worker.call_later(0, calls.append, "now")
    bench.worker.call_later(0.5, calls.append, "later")
    bench.settle()
    assert calls == ["now"]
    bench.advance(0.5)
    assert calls == ["now", "later"]


def test_what_a_test_sends_after_an_advance_counts_as_activity_of_that_time(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo, idle_timeout=10)
    client = bench.connect()
    bench.advance(9)
    client.connection.send(b"not idle")
    bench.advance(9)
    assert client.closed is None
    bench.advance(1)
    assert client.closed is CloseReason.IDLE


def test_advance_moves_the_clock_of_the_worker(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo)
    client = bench.connect()
    began = bench.worker.now()
    seen: list[float] = []
    bench.worker.call_later(2.5, lambda: seen.append(bench.worker.now() - began))
    bench.advance(4.0)
    assert seen == [pytest.approx(2.5)]
    assert bench.worker.now() - began == pytest.approx(4.0)
    assert client.connection.age == pytest.approx(4.0)
