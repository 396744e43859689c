"""Functions that subscribe to topics: which messages they get, when, and what happens when they are slow or fail."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from reactorhost import Connection, Worker, hookimpl
from reactorhost.plugins.attribution import attribution_of
from reactorhost.plugins.loading import load_object
from reactorhost.plugins.registry import Registry
from reactorhost.testing import PluginBench
from reactorhost.worker import hook_watchdog
from reactorhost.worker.bus.local import subscriptions

StartBench = Callable[..., PluginBench]
Messages = list[tuple[str, bytes]]

NAME: ContextVar[str] = ContextVar("name", default="none")


class Plain:
    """A plugin with plain hooks; a client's data is published to the topic `data`."""

    def __init__(self) -> None:
        self.received: Messages = []
        self.gaps: list[str] = []

    def note(self, topic: str, data: bytes) -> None:
        self.received.append((topic, data))

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.worker.publish("data", data)
        connection.send(b"served")

    @hookimpl
    def gap(self, worker: Worker, group: str, recovered: bool) -> None:
        self.gaps.append(group)


class Async(Plain):
    """The same with an async hook, so that functions may be async."""

    @hookimpl
    async def connect(self, connection: Connection) -> None:
        pass


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("news", ["news"]),
        ("news*", ["news", "news.a", "news.b.c"]),
        ("news.*", ["news.a", "news.b.c"]),
        ("*", ["news", "news.a", "news.b.c", "new", "x"]),
        ("news.b.c.d*", []),
    ],
)
def test_a_pattern_matches_its_topics(plugin_bench: StartBench, pattern: str, matching: list[str]) -> None:
    bench = plugin_bench(plugin := Plain())
    bench.worker.subscribe(pattern, plugin.note)
    for topic in ("news", "news.a", "news.b.c", "new", "x"):
        bench.worker.publish(topic, b"1")
        bench.bus.publish(topic, b"2")
    bench.settle()
    assert plugin.received == [(topic, data) for topic in matching for data in (b"1", b"2")]


def test_functions_are_called_in_the_order_of_subscribing(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Plain())
    called: list[tuple[int, bytes]] = []

    def note(number: int, topic: str, data: bytes) -> None:
        called.append((number, data))

    for number, pattern in enumerate(("a*", "abc", "*", "ab*", "abc", "a*")):
        bench.worker.subscribe(pattern, partial(note, number))
    bench.worker.publish("abc", b"1")
    bench.worker.publish("abc", b"2")
    bench.settle()
    assert called == [(number, data) for data in (b"1", b"2") for number in range(6)]


def test_a_function_is_not_called_from_within_publish(plugin_bench: StartBench) -> None:
    bench = plugin_bench(plugin := Plain())
    bench.worker.subscribe("a", plugin.note)
    bench.worker.publish("a", b"1")
    assert plugin.received == []
    bench.settle()
    assert plugin.received == [("a", b"1")]


def test_a_message_is_for_those_that_subscribe_when_it_is_published(plugin_bench: StartBench) -> None:
    bench = plugin_bench(plugin := Plain())
    bench.worker.publish("a", b"1")
    bench.worker.subscribe("a", plugin.note)
    bench.settle()
    assert plugin.received == []


def test_other_workers_are_notified_of_the_first_and_the_last_subscription(plugin_bench: StartBench) -> None:
    bench = plugin_bench(plugin := Plain())
    one, two = (bench.worker.subscribe("news.*", plugin.note) for _ in range(2))
    one.cancel()
    one.cancel()
    bench.bus.publish("news.a", b"1")
    two.cancel()
    assert not bench.bus._other.sends("t:news.a")
    assert plugin.received == [("news.a", b"1")]


def test_a_cancelled_function_does_not_get_what_waits(plugin_bench: StartBench) -> None:
    bench = plugin_bench(plugin := Plain())
    kept: list[bytes] = []

    def cancel_all(topic: str, data: bytes) -> None:
        plugin.note(topic, data)
        first.cancel()
        second.cancel()

    first = bench.worker.subscribe("a", cancel_all)
    second = bench.worker.subscribe("a", plugin.note)
    bench.worker.subscribe("a", lambda topic, data: kept.append(data))
    bench.worker.publish("a", b"1")
    bench.worker.publish("a", b"2")
    bench.settle()
    assert (plugin.received, kept) == ([("a", b"1")], [b"1", b"2"])


def test_a_function_that_publishes_for_ever_does_not_keep_clients_waiting(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Plain())
    rounds: list[bytes] = []

    def again(topic: str, data: bytes) -> None:
        if not rounds:
            client._socket.incoming.append(b"hello")
        rounds.append(client.received)
        # Ends when the client is served.
        if not client.received and len(rounds) < 100:
            bench.worker.publish(topic, data)

    bench.worker.subscribe("again", again)
    client = bench.connect()
    bench.worker.publish("again", b"round")
    bench.settle()
    assert rounds == [b"", b"served"]


@pytest.mark.parametrize("plugin", [Plain, Async])
def test_an_exception_is_reported_and_does_not_end_the_subscription(
    plugin_bench: StartBench, plugin: Callable[[], Plain]
) -> None:
    bench = plugin_bench(made := plugin())

    def fail(topic: str, data: bytes) -> None:
        raise KeyError(topic)

    async def fail_later(topic: str, data: bytes) -> None:
        fail(topic, data)

    bench.worker.subscribe("a", fail if plugin is Plain else fail_later)
    bench.worker.subscribe("a", made.note)
    for _ in range(2):
        bench.worker.publish("a", b"1")
        with pytest.raises(KeyError) as raised:
            bench.settle()
        assert raised.value.__notes__ == [f"raised in subscribe of plugin {plugin.__name__}"]
    assert made.received == [("a", b"1")] * 2


def test_a_function_that_cancels_itself_and_fails_is_reported(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Plain())

    def fail(topic: str, data: bytes) -> None:
        subscription.cancel()
        sys.exit(3)

    subscription = bench.worker.subscribe("a", fail)
    bench.worker.publish("a", b"1")
    with pytest.raises(Exception, match=r"the plugin called sys\.exit"):
        bench.settle()


def test_a_function_runs_in_the_context_in_which_it_was_subscribed(plugin_bench: StartBench) -> None:
    bench, seen = plugin_bench(Plain()), []
    for name in ("one", "two"):
        NAME.set(name)
        bench.worker.subscribe("a", lambda topic, data: seen.append(NAME.get()))
    NAME.set("three")
    bench.worker.publish("a", b"1")
    bench.settle()
    assert seen == ["one", "two"]


# Async functions.


class Steps:
    """An async function that handles a message when a test says so."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.ended: list[bytes] = []
        self.cancelled = False
        self._go = asyncio.Queue[None]()

    async def __call__(self, topic: str, data: bytes) -> None:
        self.begun.append(data)
        try:
            await self._go.get()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        self.ended.append(data)

    def step(self, bench: PluginBench) -> None:
        self._go.put_nowait(None)
        bench.settle()


def publish(bench: PluginBench, *messages: bytes) -> None:
    for data in messages:
        bench.worker.publish("a", data)
    bench.settle()


def test_an_async_function_handles_one_message_at_a_time(plugin_bench: StartBench) -> None:
    bench, steps, other = plugin_bench(Async()), Steps(), Steps()
    bench.worker.subscribe("a", steps)
    bench.worker.subscribe("a", other)
    publish(bench, b"1", b"2", b"3")
    assert (steps.begun, other.begun) == ([b"1"], [b"1"])
    steps.step(bench)
    assert (steps.begun, steps.ended, other.begun) == ([b"1", b"2"], [b"1"], [b"1"])
    publish(bench, b"4")
    for _ in range(3):
        steps.step(bench)
    assert steps.ended == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("limit", ["MOST_WAITING_MESSAGES", "MOST_WAITING_BYTES"])
def test_what_waits_for_an_async_function_is_bounded(
    plugin_bench: StartBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: str
) -> None:
    monkeypatch.setattr(subscriptions, limit, 2)
    bench, steps = plugin_bench(plugin := Async()), Steps()
    bench.worker.subscribe("a", steps)
    publish(bench, b"1", b"2", b"3", b"4", b"5")
    assert plugin.gaps == ["a"]
    assert bench._parts.context.counters.bus_dropped == 2
    assert [vars(record)["reactorhost_fields"] for record in caplog.records] == [
        {"plugin": "Async", "pattern": "a", "messages": 2}
    ]
    for _ in range(3):
        steps.step(bench)
    assert steps.ended == [b"1", b"2", b"3"]
    # As much as before may wait again.
    publish(bench, b"6", b"7", b"8")
    for _ in range(3):
        steps.step(bench)
    assert steps.ended == [b"1", b"2", b"3", b"6", b"7", b"8"]


def test_a_cancelled_async_function_may_finish_its_message(plugin_bench: StartBench) -> None:
    bench, steps = plugin_bench(Async()), Steps()
    subscription = bench.worker.subscribe("a", steps)
    publish(bench, b"1", b"2")
    subscription.cancel()
    steps.step(bench)
    assert (steps.begun, steps.ended, steps.cancelled) == ([b"1"], [b"1"], False)


def test_an_async_function_that_runs_is_cancelled_before_worker_stop(plugin_bench: StartBench) -> None:
    cancelled = []

    class Stopping(Async):
        @hookimpl
        async def worker_stop(self, worker: Worker) -> None:
            cancelled.append(steps.cancelled)

    bench, steps = plugin_bench(Stopping()), Steps()
    bench.worker.subscribe("a", steps)
    publish(bench, b"1", b"2")
    bench.stop()
    assert (steps.begun, steps.ended, cancelled) == ([b"1"], [], [True])


def test_an_async_function_needs_a_worker_with_async_hooks(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Plain())

    async def function(topic: str, data: bytes) -> None:
        pytest.fail("called")

    bench.worker.subscribe("a", function)
    bench.worker.publish("a", b"1")
    with pytest.raises(TypeError, match="an async function requires a worker with async hooks"):
        bench.settle()


# Wrong uses.


@pytest.mark.parametrize(
    ("pattern", "function", "error"),
    [
        ("", print, ValueError("the name of a topic is empty")),
        ("a*b", print, ValueError(r"may have a \* at its end only")),
        ("a\nb", print, ValueError("has a character that cannot be printed")),
        (7, print, TypeError("a pattern of topics is a text, not int")),
        ("a", "print", TypeError("subscribe needs a function to call, not 'print'")),
    ],
)
def test_what_is_malformed_is_refused(plugin_bench: StartBench, pattern: Any, function: Any, error: Exception) -> None:
    bench = plugin_bench(Plain())
    with pytest.raises(type(error), match=str(error)):
        bench.worker.subscribe(pattern, function)


def test_the_log_of_a_slow_function_names_the_subscription(plugin_bench: StartBench) -> None:
    bench, found = plugin_bench(Plain()), []
    loaded = load_object(Plain(), "plain")

    def slow(topic: str, data: bytes) -> None:
        found.append(attribution_of(Registry([loaded])).locate(sys._getframe(), hook_watchdog.CALLERS))

    bench.worker.subscribe("a", slow)
    bench.worker.publish("a", b"1")
    bench.settle()
    (position,) = found
    assert position is not None
    assert (position.plugin, position.hook) == ("plain", "subscribe")
