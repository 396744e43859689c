"""The bench for plugins: what a plugin's author sees of hooks, bytes, timers and failures without a socket."""

from __future__ import annotations

import socket
import threading
import types
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, strategies

import reactorhost_echo
from reactorhost import CloseReason, Connection, Option, TlsFacts, Worker, hookimpl
from reactorhost.testing import HostFailedError, PluginBench

Start = Callable[..., PluginBench]


class Recorder:
    """A plugin that writes down every hook."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @hookimpl
    def connect(self, connection: Connection) -> None:
        self.calls.append(f"connect {connection.peer}")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.calls.append(f"receive {data!r}")

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.calls.append(f"close {reason}")

    @hookimpl
    def drain(self, connection: Connection) -> None:
        self.calls.append("drain")

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.calls.append(f"worker_start {worker.slot}")

    @hookimpl
    def worker_stop(self) -> None:
        self.calls.append("worker_stop")


class Greeter:
    """A plugin with options."""

    def __init__(self) -> None:
        self.greeting = b""

    @hookimpl
    def options(self) -> list[Option]:
        return [Option("greeting", str, default="hello")]

    @hookimpl
    def configure(self, config: Mapping[str, object]) -> None:
        if not config["greeting"]:
            raise ValueError("a greeting has words")
        self.greeting = str(config["greeting"]).encode()

    @hookimpl
    def connect(self, connection: Connection) -> None:
        connection.send(self.greeting)


def of(**hooks: Callable[..., object]) -> types.ModuleType:
    """Make a plugin of functions."""
    module = types.ModuleType("made")
    vars(module).update({name: hookimpl(hook) for name, hook in hooks.items()})
    return module


def refuse(connection: Connection, data: bytes) -> None:
    raise ValueError("spoiled")


def test_what_a_client_sends_and_receives(plugin_bench: Start) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.send(b"one")
    client.send(b"two")
    assert client.received == b"onetwo"
    assert (client.connection.bytes_in, client.connection.bytes_out) == (6, 6)
    assert client.closed is None
    client.end()
    assert client.closed is CloseReason.PEER


def test_hooks_are_called_in_the_order_of_a_worker(plugin_bench: Start) -> None:
    recorder = Recorder()
    bench = plugin_bench(recorder)
    client = bench.connect(("10.0.0.1", 5000))
    client.send(b"x")
    bench.stop()
    bench.stop()
    assert recorder.calls == [
        "worker_start 0",
        "connect 10.0.0.1:5000",
        "receive b'x'",
        "drain",
        "close shutdown",
        "worker_stop",
    ]
    assert client.closed is CloseReason.SHUTDOWN


def test_a_bench_is_a_context_manager_and_takes_classes() -> None:
    with PluginBench(Recorder, reactorhost_echo) as bench:
        client = bench.connect()
        client.send(b"x")
        assert client.received == b"x"
    assert client.closed is CloseReason.SHUTDOWN


def test_an_installed_plugin_goes_by_its_name(plugin_bench: Start) -> None:
    client = plugin_bench("echo").connect()
    client.send(b"x")
    assert client.received == b"x"


def test_options_are_filled_from_tables_by_plugin(plugin_bench: Start) -> None:
    assert plugin_bench(Greeter).connect().received == b"hello"
    assert plugin_bench(Greeter, options={"Greeter": {"greeting": "hi"}}).connect().received == b"hi"


def test_a_module_goes_by_its_name_without_the_prefix(plugin_bench: Start) -> None:
    told: list[object] = []
    module = of(options=lambda: [Option("size", int)], configure=lambda config: told.append(config["size"]))
    module.__name__ = "reactorhost_made"
    plugin_bench(module, options={"made": {"size": 5}})
    assert told == [5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"Greeter": {"greting": "hi"}}, "has no option 'greting'\n  hint: did you mean 'greeting'?"),
        ({"Greeter": {"greeting": 5}}, "is 5, which is not a string"),
        ({"Greetre": {}}, "options for 'Greetre', which is not one of the plugins\n  hint: did you mean 'Greeter'?"),
    ],
)
def test_options_that_a_host_refuses_are_refused_in_its_words(options: Any, said: str) -> None:
    with pytest.raises(HostFailedError) as refused:
        PluginBench(Greeter, options=options).start()
    assert said in refused.value.text
    assert refused.value.status == 1


def test_a_plugin_that_breaks_the_contract_is_refused_with_its_exit_status() -> None:
    with pytest.raises(HostFailedError, match="unknown hook 'recieve'") as refused:
        PluginBench(of(recieve=refuse)).start()
    assert refused.value.status == 4
    with pytest.raises(HostFailedError, match="service_workers returned 0"):
        PluginBench(of(service_workers=lambda: 0)).start()


def test_what_configure_and_worker_start_raise_comes_out_as_it_is() -> None:
    def worker_start() -> None:
        raise KeyError("no database")

    with pytest.raises(ValueError, match="a greeting has words"):
        PluginBench(Greeter, options={"Greeter": {"greeting": ""}}).start()
    with pytest.raises(KeyError, match="no database"):
        PluginBench(of(worker_start=worker_start)).start()


def test_an_exception_in_a_hook_is_the_tests_and_closes_the_connection(plugin_bench: Start) -> None:
    bench = plugin_bench(of(receive=refuse))
    client, other = bench.connect(), bench.connect()
    with pytest.raises(ValueError, match="spoiled") as raised:
        client.send(b"x")
    assert raised.value.__notes__ == [f"raised in receive of plugin made for {client.connection!r}"]
    assert (client.closed, other.closed) == (CloseReason.ERROR, None)


def test_exceptions_of_several_hooks_come_together(plugin_bench: Start) -> None:
    def close() -> None:
        raise KeyError("late")

    client = plugin_bench(of(receive=refuse, close=close)).connect()
    with pytest.raises(ExceptionGroup) as raised:
        client.send(b"x")
    assert [type(error) for error in raised.value.exceptions] == [ValueError, KeyError]


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


def test_a_client_answers_a_close_unless_ends_too_is_false(plugin_bench: Start) -> None:
    def receive(connection: Connection) -> None:
        connection.send(b"bye")
        connection.close()

    bench = plugin_bench(of(receive=receive), close_timeout=5.0)
    polite, unfinished = bench.connect(), bench.connect(ends_too=False)
    polite.send(b"x")
    unfinished.send(b"x")
    assert polite.received == unfinished.received == b"bye"
    assert (polite.eof, unfinished.eof) == (True, True)
    assert (polite.closed, unfinished.closed) == (CloseReason.LOCAL, None)
    bench.advance(5.0)
    assert unfinished.closed is CloseReason.LOCAL


def test_a_half_closed_client_goes_on_sending(plugin_bench: Start) -> None:
    received: list[bytes] = []

    def receive(connection: Connection, data: bytes) -> None:
        received.append(data)
        connection.send_eof()

    client = plugin_bench(of(receive=receive)).connect()
    client.send(b"one")
    assert client.eof
    client.send(b"two")
    assert received == [b"one", b"two"]


def test_a_client_that_reads_nothing_makes_answers_wait(plugin_bench: Start) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.pause()
    client.send(bytes(100_000))
    assert client.received == b""
    assert 65_536 < client.connection.queued < 100_000
    client.resume()
    assert client.received == bytes(100_000)


def test_too_much_for_a_client_that_reads_nothing_is_overflow(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo, max_send_buffer=1024)
    client = bench.connect()
    client.pause()
    client.send(bytes(2000))
    assert client.closed is None
    client.send(b"x")
    assert client.closed is CloseReason.OVERFLOW


def test_silence_ends_a_connection_where_the_bench_says_so(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo, idle_timeout=10.0)
    client = bench.connect()
    bench.advance(9.0)
    client.send(b"x")
    bench.advance(9.0)
    assert client.closed is None
    bench.advance(1.0)
    assert client.closed is CloseReason.IDLE


def test_a_reset_is_the_clients_end(plugin_bench: Start) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.reset()
    assert client.closed is CloseReason.PEER


def test_a_client_that_is_gone_cannot_send(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo)
    ended, waiting, refused = bench.connect(), bench.connect(), bench.connect()
    ended.end()
    waiting.pause()
    waiting.send(b"x")
    waiting.end()
    assert waiting.closed is None
    refused.connection.abort()
    bench.settle()
    assert refused.closed is CloseReason.LOCAL
    for client in (ended, waiting, refused):
        with pytest.raises(ConnectionError):
            client.send(b"x")


def test_drain_is_called_for_open_clients(plugin_bench: Start) -> None:
    def drain(connection: Connection) -> None:
        connection.send(b"soon")

    bench = plugin_bench(of(drain=drain), reactorhost_echo)
    client = bench.connect()
    bench.drain()
    client.send(b"!")
    assert client.received == b"soon!"
    assert client.closed is None


def test_the_worker_knows_its_clients(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo)
    clients = [bench.connect() for _ in range(3)]
    assert {each.id for each in bench.worker.connections} == {client.connection.id for client in clients}


def test_nothing_is_opened(plugin_bench: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "socket")
    client = plugin_bench(reactorhost_echo).connect()
    client.send(b"x")
    assert client.received == b"x"
    assert str(client.connection.local) == "127.0.0.1:9000"


@given(strategies.lists(strategies.binary(min_size=1, max_size=40_000), max_size=5), strategies.booleans())
def test_an_echo_is_whole_for_any_pieces(pieces: list[bytes], paused: bool) -> None:
    with PluginBench(reactorhost_echo) as bench:
        client = bench.connect()
        if paused:
            client.pause()
        for piece in pieces:
            client.send(piece)
        client.resume()
        assert client.received == b"".join(pieces)


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
    before = threading.active_count()
    bench = plugin_bench(Threaded())
    client = bench.connect()
    for word in (b"one", b"two", b"three"):
        client.send(word)
    assert client.received == b"ONETWOTHREE"
    bench.stop()
    assert threading.active_count() == before


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


def test_a_shared_counter_counts_on_a_bench(plugin_bench: Start) -> None:
    def count(connection: Connection) -> None:
        visits = bench.worker.shared_counter("visits")
        visits.add(3)
        connection.send(b"%d" % visits.value)

    bench = plugin_bench(of(connect=count))
    assert [bench.connect().received for _ in range(2)] == [b"3", b"6"]
    assert bench.stats() == {"visits": 6}


# Datagrams.


def test_a_datagram_is_answered_with_what_the_plugin_sends_then_and_later(plugin_bench: Start) -> None:
    class Plugin:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.send(f"{connection.peer} ".encode() + data)
            connection.call_later(1.0, connection.send, b"later")

    bench = plugin_bench(Plugin)
    answers = bench.datagram(b"hello", ("192.0.2.7", 9))
    other = bench.datagram(b"")
    assert answers == [b"192.0.2.7:9 hello"]
    bench.advance(1.0)
    assert answers[1:] == [b"later"]
    assert len(other) == 2


def test_what_a_datagrams_hook_raises_comes_out_of_the_bench(plugin_bench: Start) -> None:
    class Plugin:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        plugin_bench(Plugin).datagram(b"hello")
    with pytest.raises(ValueError, match="has room for 65507 bytes, not for 65508"):
        plugin_bench(Plugin).datagram(bytes(65508))


def test_an_async_plugin_answers_datagrams(plugin_bench: Start) -> None:
    class Plugin:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.send(data)

    assert plugin_bench(Plugin).datagram(b"hello") == [b"hello"]


def test_a_timer_that_is_due_now_needs_no_advance(plugin_bench: Start) -> None:
    calls: list[str] = []
    bench = plugin_bench(Recorder())
    bench.worker.call_later(0, calls.append, "now")
    bench.worker.call_later(0.5, calls.append, "later")
    bench.settle()
    assert calls == ["now"]
    bench.advance(0.5)
    assert calls == ["now", "later"]


def test_what_a_test_sends_after_an_advance_counts_as_activity_of_that_time(plugin_bench: Start) -> None:
    bench = plugin_bench(Recorder(), idle_timeout=10)
    client = bench.connect()
    bench.advance(9)
    client.connection.send(b"not idle")
    bench.advance(9)
    assert client.closed is None
    bench.advance(1)
    assert client.closed is CloseReason.IDLE


def test_a_client_has_the_tls_facts_that_a_test_sets(plugin_bench: Start) -> None:
    seen: list[TlsFacts | None] = []
    facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", server_name="example.org")
    bench = plugin_bench(of(connect=lambda connection: seen.append(connection.tls)), reactorhost_echo)
    client = bench.connect(tls=facts)
    bench.connect()
    client.send(b"x")
    assert client.received == b"x"
    assert seen == [facts, None]


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


def test_a_client_that_is_reset_while_it_is_paused_ends(plugin_bench: Start) -> None:
    class Pauses:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            connection.pause()

    client = plugin_bench(Pauses).connect()
    client.reset()
    assert client.closed is CloseReason.PEER
