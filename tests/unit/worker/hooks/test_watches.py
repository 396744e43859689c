"""Descriptors that plugins watch: when their functions are called, and what ends a watch."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from reactorhost import Connection, Worker, hookimpl
from reactorhost.plugins.attribution import Attribution
from reactorhost.reactor import ERROR, HANG_UP, READ, WRITE, Reactor
from reactorhost.testing import PluginBench
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker import hook_watchdog
from reactorhost.worker.hooks.watches import DuplicateDescriptor, PluginWatch, Watches

Bench = Callable[..., PluginBench]
variable: ContextVar[str] = ContextVar("variable", default="unset")


class FakeWatched:
    """A duplicate of a descriptor, whose events a test sets."""

    def __init__(self) -> None:
        self.number = -1
        self.events = 0
        self.is_stale = False
        self.closed = 0

    def ready(self) -> int:
        return self.events

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        self.closed += 1


class Loop:
    """The watches of a worker, on a fake poller."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.poller = FakePoller(clock)
        self.reactor = Reactor(self.poller, clock)
        self.failures: list[str] = []
        self.descriptor = FakeWatched()
        self.poller.open(self.descriptor)
        self.watches = Watches(self.reactor, self.failed, lambda number: self.descriptor)
        self.calls: list[str] = []

    def failed(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        self.failures.append(f"{plugin} {hook}: {error}")

    def note(self, word: str) -> Callable[[], None]:
        return lambda: self.calls.append(word)

    def watch(self, **functions: Callable[[], object]) -> PluginWatch:
        return self.watches.watch("made", 5, functions.get("on_readable"), functions.get("on_writable"))

    def turn(self, events: int) -> list[str]:
        """Make a turn with these events ready; returns what was called."""
        self.descriptor.events = events
        turn(self.reactor, self.poller)
        calls, self.calls = self.calls, []
        return calls

    @property
    def watched(self) -> int | None:
        return self.poller.watched.get(self.descriptor.number)


@pytest.fixture
def loop() -> Loop:
    return Loop()


# Calls


@pytest.mark.parametrize(
    ("functions", "events", "called"),
    [
        (["readable"], READ, ["readable"]),
        (["readable"], WRITE, []),
        (["writable"], READ | WRITE, ["writable"]),
        (["readable", "writable"], READ | WRITE, ["readable", "writable"]),
        (["readable", "writable"], WRITE, ["writable"]),
        # Reading or writing reports it.
        (["readable"], HANG_UP, ["readable"]),
        (["writable"], ERROR, ["writable"]),
    ],
)
def test_functions_are_called_for_their_event(loop: Loop, functions: list[str], events: int, called: list[str]) -> None:
    loop.watch(**{f"on_{name}": loop.note(name) for name in functions})
    assert loop.turn(events) == called
    assert loop.turn(events) == called
    assert loop.turn(0) == []


@pytest.mark.parametrize("events", [READ, READ | WRITE])
def test_a_function_that_cancels_the_watch_is_the_last_one_called(loop: Loop, events: int) -> None:
    def cancel() -> None:
        loop.calls.append("readable")
        watch.cancel()
        watch.cancel()

    watch = loop.watch(on_readable=cancel, on_writable=loop.note("writable"))
    assert loop.turn(events) == ["readable"]
    assert loop.turn(events) == []
    assert (loop.watched, loop.descriptor.closed, loop.watches._watches) == (None, 1, set())


def test_an_exception_is_reported_and_does_not_end_the_watch(loop: Loop) -> None:
    def fail() -> None:
        loop.calls.append("called")
        raise SystemExit(3)

    loop.watch(on_readable=fail)
    assert loop.turn(READ) == loop.turn(READ) == ["called"]
    assert loop.failures == ["made watch: the plugin called sys.exit(3)"] * 2


def test_functions_run_in_a_copy_of_the_context_in_which_the_watch_was_made(loop: Loop) -> None:
    token = variable.set("of the hook")
    loop.watch(on_readable=lambda: loop.calls.append(variable.get()))
    variable.reset(token)
    assert loop.turn(READ) == ["of the hook"]


def test_the_log_names_a_watch_that_holds_the_loop(loop: Loop) -> None:
    found: list[Any] = []
    loop.watch(on_readable=lambda: found.append(Attribution([], {}).locate(sys._getframe(), hook_watchdog.CALLERS)))
    loop.turn(READ)
    assert found[0].hook == "watch"


# Async functions


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def pass_on() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_an_async_function_is_not_called_again_before_it_has_ended(loop: Loop) -> None:
    async def test() -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def read() -> None:
            loop.calls.append("begun")
            await asyncio.shield(answer)

        loop.watch(on_readable=read, on_writable=loop.note("writable"))
        loop.turn(READ)
        await pass_on()
        assert loop.turn(READ) == ["begun"]
        # The other function is called meanwhile.
        assert loop.watched == WRITE
        assert loop.turn(READ | WRITE) == ["writable"]
        answer.set_result(None)
        await pass_on()
        assert loop.watched == READ | WRITE
        loop.turn(READ)
        await pass_on()
        assert loop.turn(0) == ["begun"]

    on_a_loop(test)


def test_a_hang_up_does_not_turn_the_loop_while_the_only_function_runs(loop: Loop) -> None:
    async def test() -> None:
        async def read() -> None:
            await asyncio.get_running_loop().create_future()

        loop.watch(on_readable=read)
        loop.turn(READ)
        await pass_on()
        # epoll would report a hang-up of a descriptor that is registered without events.
        assert loop.watched is None
        loop.watches.cancel_all()
        await pass_on()

    on_a_loop(test)


def test_an_async_function_that_fails_is_called_again(loop: Loop) -> None:
    async def test() -> None:
        async def read() -> None:
            raise ValueError("spoiled")

        loop.watch(on_readable=read)
        for _ in range(2):
            loop.turn(READ)
            await pass_on()
        assert loop.failures == ["made watch: spoiled"] * 2

    on_a_loop(test)


@pytest.mark.parametrize("ends", [True, False])
def test_the_end_of_a_watch_lets_an_async_function_finish_and_the_end_of_the_worker_does_not(
    loop: Loop, ends: bool
) -> None:
    async def test() -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def read() -> None:
            try:
                await answer
                loop.calls.append("finished")
            except asyncio.CancelledError:
                loop.calls.append("cancelled")

        watch = loop.watch(on_readable=read)
        loop.turn(READ)
        await pass_on()
        if ends:
            loop.watches.cancel_all()
        else:
            watch.cancel()
            answer.set_result(None)
        await pass_on()
        assert loop.turn(READ) == ["cancelled" if ends else "finished"]
        assert (loop.failures, loop.watched, loop.descriptor.closed) == ([], None, 1)

    on_a_loop(test)


# Descriptors


def test_a_descriptor_that_was_closed_is_watched_no_more(loop: Loop) -> None:
    loop.watch(on_readable=loop.note("readable"))
    loop.descriptor.is_stale = True
    assert loop.turn(READ) == loop.turn(READ) == []
    assert loop.failures == ["made watch: the descriptor was closed before its watch was cancelled"]
    assert (loop.watched, loop.descriptor.closed) == (None, 1)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_a_duplicate_is_stale_once_the_number_is_closed_or_that_of_another_file(pipe: tuple[int, int]) -> None:
    reader = pipe[0]
    duplicate = DuplicateDescriptor(reader)
    assert (duplicate.is_stale, os.get_inheritable(duplicate.fileno())) == (False, False)
    os.close(reader)
    assert duplicate.is_stale
    other, other_writer = os.pipe()
    os.dup2(other, reader)
    assert duplicate.is_stale
    duplicate.close()
    os.close(other)
    os.close(other_writer)


class Idle:
    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def receive(self, data: bytes) -> None:
        """Discard what comes."""


@pytest.mark.parametrize(
    ("file", "functions", "error", "message"),
    [
        (0, {}, TypeError, "watch needs a function to call"),
        (0, {"on_readable": "read"}, TypeError, "watch needs a function to call"),
        (
            "file",
            {"on_readable": print},
            TypeError,
            r"watch needs a descriptor or an object with fileno\(\), not 'file'",
        ),
        (-1, {"on_readable": print}, ValueError, "descriptor -1 is not open"),
        (10**6, {"on_writable": print}, ValueError, "descriptor 1000000 is not open"),
        (10**20, {"on_readable": print}, ValueError, "descriptor 100000000000000000000 is not open"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    plugin_bench: Bench, file: Any, functions: Any, error: type[Exception], message: str
) -> None:
    bench = plugin_bench(Idle)
    with pytest.raises(error, match=message):
        bench.worker.watch(file, **functions)


def test_a_regular_file_is_refused(plugin_bench: Bench, tmp_path: Path) -> None:
    bench = plugin_bench(Idle)
    with (
        (tmp_path / "file").open("wb") as file,
        pytest.raises(ValueError, match=r"descriptor \d+ is of a file that is always ready, and cannot be watched"),
    ):
        bench.worker.watch(file, on_readable=print)


@pytest.mark.parametrize(("raised", "expected"), [(PermissionError, ValueError), (OSError, OSError)])
def test_a_descriptor_that_the_poller_refuses_is_released(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, raised: type[Exception], expected: type[Exception]
) -> None:
    def refuse(descriptor: int, events: int) -> None:
        raise raised

    monkeypatch.setattr(loop.poller, "register", refuse)
    with pytest.raises(expected):
        loop.watch(on_readable=print)
    assert loop.descriptor.closed == 1


# On a bench


class Lines:
    """Send what arrives through a pipe to every client."""

    def __init__(self, reader: int) -> None:
        self.reader = reader

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker
        self.watch = worker.watch(self.reader, on_readable=self.read)

    def read(self) -> None:
        data = os.read(self.reader, 100)
        for connection in self.worker.connections:
            connection.send(data)

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.watch.cancel()


def test_a_bench_watches_real_descriptors_until_the_watch_is_cancelled(
    pipe: tuple[int, int], plugin_bench: Bench
) -> None:
    reader, writer = pipe
    bench = plugin_bench(Lines(reader))
    client = bench.connect()
    os.write(writer, b"one")
    bench.settle()
    client.send(b"enough")
    os.write(writer, b"two")
    bench.settle()
    assert client.received == b"one"


def test_a_descriptor_may_be_watched_twice(pipe: tuple[int, int], plugin_bench: Bench) -> None:
    seen: list[str] = []
    bench = plugin_bench(Lines(pipe[0]))
    watch = bench.worker.watch(pipe[0], on_readable=lambda: seen.append("second"))
    os.write(pipe[1], b"x")
    bench._time.reactor.turn(0)
    watch.cancel()
    assert seen == ["second"]


def test_a_worker_that_stops_watches_nothing_any_more(pipe: tuple[int, int], plugin_bench: Bench) -> None:
    bench = plugin_bench(Lines(pipe[0]))
    bench.stop()
    assert bench._time.poller.watched == {}
    # The duplicate is closed: the other side sees the end.
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        os.write(pipe[1], b"x")
