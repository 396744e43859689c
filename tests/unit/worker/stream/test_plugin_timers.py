"""Tasks of a connection: how they end, what their exceptions do, and how long a client is kept for them; on a bench."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, hookimpl
from reactorhost.plugins.attribution import Attribution
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.worker import hook_watchdog

Bench = Callable[..., PluginBench]
Function = Callable[[Connection], Coroutine[Any, Any, Any]]
variable: ContextVar[str] = ContextVar("variable", default="unset")


class Tasks:
    """Run a function as a task for each client, and note how the task ends."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.tasks: list[asyncio.Task[Any]] = []

    @hookimpl
    def connect(self, connection: Connection) -> None:
        self.tasks.append(connection.create_task(self.function(connection)))

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        if data == b"close":
            connection.close()

    @hookimpl
    async def worker_stop(self) -> None:
        """Make the worker one with an asyncio loop, without a queue of hooks."""


async def forever(connection: Connection) -> None:
    await asyncio.get_running_loop().create_future()


async def answer_later(connection: Connection) -> str:
    await asyncio.sleep(3)
    connection.send(b"answer")
    return "result"


@pytest.fixture
def started(plugin_bench: Bench) -> Callable[..., tuple[PluginBench, Tasks, BenchClient]]:
    def start(function: Function, **limits: float) -> tuple[PluginBench, Tasks, BenchClient]:
        plugin = Tasks(function)
        bench = plugin_bench(plugin, **limits)
        return bench, plugin, bench.connect()

    return start


Started = Callable[..., tuple[PluginBench, Tasks, BenchClient]]


def test_a_task_runs_beside_the_hooks_and_has_a_result(started: Started) -> None:
    bench, plugin, client = started(answer_later)
    client.send(b"meanwhile")
    assert not plugin.tasks[0].done()
    bench.advance(3)
    assert (client.received, plugin.tasks[0].result(), client.closed) == (b"answer", "result", None)


def test_the_example_of_the_guide_counts_until_the_client_leaves(plugin_bench: Bench) -> None:
    bench = plugin_bench(str(Path(__file__).parents[4] / "docs" / "examples" / "async_count.py"))
    client = bench.connect()
    bench.advance(2)
    client.send(b"40\n")
    bench.advance(1)
    assert client.received == b"0\n1\n40\n"
    client.reset()
    assert client.closed is CloseReason.PEER


# Exceptions


@pytest.mark.parametrize("error", [ValueError("spoiled"), SystemExit("spoiled"), asyncio.CancelledError("spoiled")])
def test_an_exception_is_reported_and_closes_the_connection(
    started: Started, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(connection: Connection) -> None:
        connection.send(b"before")
        await asyncio.sleep(1)
        raise error

    bench, plugin, client = started(fail)
    with pytest.raises(Exception, match=r"spoiled|CancelledError") as raised:
        bench.advance(1)
    (note,) = raised.value.__notes__
    assert note.startswith("raised in task of plugin Tasks for <Connection 1 ")
    bench.settle()
    assert (client.received, client.closed) == (b"before", CloseReason.ERROR)
    assert plugin.tasks[0].done()
    # What asyncio itself logs when an exception was not retrieved.
    plugin.tasks.clear()
    assert caplog.records == []


def test_the_code_that_awaits_a_task_gets_its_exception_too(started: Started) -> None:
    seen: list[str] = []

    async def fail() -> None:
        raise ValueError("spoiled")

    async def waits(connection: Connection) -> None:
        try:
            await connection.create_task(fail())
        except ValueError as error:
            seen.append(str(error))

    with pytest.raises(ValueError, match="spoiled"):
        started(waits)
    assert seen == ["spoiled"]


def test_an_exception_is_that_of_the_plugin_that_has_made_the_task(plugin_bench: Bench) -> None:
    # Both plugins are in one file, and the coroutine has no hook on its stack.
    async def fail() -> None:
        raise ValueError("spoiled")

    class Innocent:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            """Come first."""

        @hookimpl
        async def worker_stop(self) -> None:
            """Make the worker one with an asyncio loop."""

    class Guilty:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.create_task(fail())

    client = plugin_bench(Innocent, Guilty).connect()
    with pytest.raises(ValueError, match="spoiled") as raised:
        client.send(b"x")
    assert raised.value.__notes__[0].startswith("raised in task of plugin Guilty")


def test_a_plugin_may_cancel_its_task(started: Started) -> None:
    bench, plugin, client = started(forever)
    plugin.tasks[0].cancel()
    bench.settle()
    assert (plugin.tasks[0].cancelled(), client.closed) == (True, None)


def test_the_log_names_a_task_that_holds_the_loop(started: Started) -> None:
    found: list[Any] = []

    async def look(connection: Connection) -> None:
        await asyncio.sleep(1)
        found.append(Attribution([], {}).locate(sys._getframe(), hook_watchdog.CALLERS))

    bench, _, _ = started(look)
    bench.advance(1)
    assert found[0].hook == "task"


# The end of the connection


@pytest.mark.parametrize("end", ["reset", "abort", "close", "receive"])
def test_a_task_is_cancelled_with_its_connection(started: Started, end: str) -> None:
    bench, plugin, client = started(forever)
    if end == "reset":
        client.reset()
    elif end == "receive":
        client.send(b"close")
    else:
        getattr(client.connection, end)()
        bench.settle()
    assert plugin.tasks[0].cancelled()
    assert client.closed is (CloseReason.PEER if end == "reset" else CloseReason.LOCAL)


def test_the_task_that_closes_the_connection_may_finish(started: Started) -> None:
    seen: list[str] = []

    async def close(connection: Connection) -> None:
        connection.close()
        await asyncio.sleep(5)
        seen.append("finished")

    bench, _, client = started(close)
    assert client.closed is CloseReason.LOCAL
    bench.advance(5)
    assert seen == ["finished"]


def test_a_worker_that_stops_cancels_tasks(started: Started) -> None:
    bench, plugin, client = started(forever)
    bench.stop()
    assert (plugin.tasks[0].cancelled(), client.closed) == (True, CloseReason.SHUTDOWN)


def test_a_task_of_a_connection_that_is_closed_never_begins(started: Started) -> None:
    seen: list[str] = []

    async def note() -> None:
        seen.append("begun")

    bench, _, client = started(forever)
    client.connection.close()
    task = bench._time.within(lambda: client.connection.create_task(note()))
    assert (task.cancelled(), client.closed, seen) == (True, CloseReason.LOCAL, [])
    # The transport is that of an ended connection now.
    task = bench._time.within(lambda: client.connection.create_task(note()))
    assert (task.cancelled(), seen) == (True, [])


# Clients that are kept


def test_a_half_closed_client_is_kept_while_a_task_works_for_it(started: Started) -> None:
    bench, _, client = started(answer_later, close_timeout=5)
    client.end()
    assert (client.received, client.closed is None) == (b"", True)
    bench.advance(3)
    assert (client.received, client.closed) == (b"answer", CloseReason.PEER)


def test_a_client_that_has_ended_is_not_kept_for_longer_than_the_silence(started: Started) -> None:
    bench, plugin, client = started(forever, close_timeout=5)
    bench.advance(60)
    client.end()
    bench.advance(4.9)
    assert not plugin.tasks[0].done()
    bench.advance(0.2)
    assert (client.closed, plugin.tasks[0].cancelled()) == (CloseReason.PEER, True)


def test_a_task_that_begins_after_the_end_has_the_time_of_the_silence(plugin_bench: Bench) -> None:
    class Late:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(4)
            connection.create_task(forever(connection))

    bench = plugin_bench(Late, close_timeout=5)
    client = bench.connect()
    client.send(b"x")
    client.end()
    bench.advance(8.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.PEER


def test_a_task_that_begins_while_the_last_answer_waits_is_not_kept_for_ever(started: Started) -> None:
    bench, plugin, client = started(answer_later, close_timeout=5)
    client.pause()
    client.connection.send(b"the last answer")
    bench.advance(3)
    client.end()
    bench._time.within(lambda: plugin.tasks.append(client.connection.create_task(forever(client.connection))))
    client.resume()
    bench.advance(5.1)
    assert (client.closed, plugin.tasks[1].cancelled()) == (CloseReason.PEER, True)


def test_a_client_that_has_ended_and_cannot_be_sent_to_is_not_kept(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, plugin, client = started(forever)
    client.end()
    monkeypatch.setattr(client._socket, "send", _broken)
    client.connection.send(b"x")
    bench.settle()
    assert (client.closed, plugin.tasks[0].cancelled()) == (CloseReason.PEER, True)


def _broken(data: bytes) -> int:
    raise BrokenPipeError


def test_a_connection_with_a_task_is_not_idle(started: Started) -> None:
    async def work(connection: Connection) -> None:
        await asyncio.sleep(62)

    bench, _, client = started(work, idle_timeout=5)
    bench.advance(66.9)
    assert client.closed is None
    bench.advance(1)
    assert client.closed is CloseReason.IDLE


# The context, and workers without a loop


def test_a_task_has_a_copy_of_the_context_of_its_connection(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Sets:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            variable.set("of the connection")

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            for name in ("one", "two"):
                connection.create_task(self.work(name))
            await asyncio.sleep(2)
            seen.append(variable.get())

        async def work(self, name: str) -> None:
            seen.append(variable.get())
            variable.set(name)
            await asyncio.sleep(1)
            seen.append(variable.get())

    bench = plugin_bench(Sets)
    bench.connect().send(b"x")
    bench.advance(2)
    assert seen == ["of the connection", "of the connection", "one", "two", "of the connection"]


def test_a_plain_worker_has_no_tasks(plugin_bench: Bench) -> None:
    class Plain:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.create_task(forever(connection))

    client = plugin_bench(Plain).connect()
    # And no warning about a coroutine that was never awaited, which would fail the test.
    with pytest.raises(RuntimeError, match="create_task needs an asyncio loop, and this worker has none"):
        client.send(b"x")


def test_what_is_not_a_coroutine_is_refused(started: Started) -> None:
    given: Any = forever
    with pytest.raises(TypeError, match="create_task takes a coroutine, not <function forever"):
        started(lambda connection: connection.create_task(given))
