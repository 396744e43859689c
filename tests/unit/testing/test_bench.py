"""The bench for plugins: hooks, options, datagrams and failures without a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import reactorhost_echo
from hook_modules import of
from reactorhost import CloseReason, Connection, Lines, Option, Worker, hookimpl
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


def refuse(connection: Connection, data: bytes) -> None:
    raise ValueError("spoiled")


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


def test_the_hooks_get_the_name_of_the_service(plugin_bench: Start) -> None:
    class Services:
        @hookimpl
        def configure(self, services: tuple[str, ...]) -> None:
            self.services = services

        @hookimpl
        def framing(self, service: str) -> Lines | None:
            return Lines() if service == "console" else None

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.send(f"{data!r} for {connection.service} of {self.services}".encode())

    client = plugin_bench(Services, service="console").connect()
    client.send(b"hello\n")
    assert client.received == b"b'hello' for console of ('console',)"
    assert plugin_bench(Services).datagram(b"hello") == [b"b'hello' for default of ('default',)"]


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


def test_the_report_of_a_refusal_has_the_lines_of_the_test_only(plugin_bench: Start) -> None:
    with pytest.raises(HostFailedError) as refused:
        plugin_bench(Greeter, options={"Greeter": {"greting": "hi"}})
    assert {str(entry.path) for entry in refused.traceback.filter(refused)} == {__file__}


def test_a_plugin_that_breaks_the_contract_is_refused_with_its_exit_status() -> None:
    with pytest.raises(HostFailedError, match="unknown hook 'recieve'") as refused:
        PluginBench(of(recieve=refuse)).start()
    assert refused.value.status == 4
    with pytest.raises(HostFailedError, match="service_workers returned 0"):
        PluginBench(of(service_workers=lambda: 0)).start()


def test_what_admit_raises_comes_out_as_it_is(plugin_bench: Start) -> None:
    def admit() -> bool:
        raise KeyError("no list")

    with pytest.raises(KeyError, match="no list"):
        plugin_bench(of(admit=admit)).connect()


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
