"""Async hooks: their order, what waits meanwhile, and what cancels them; on a bench, whose clock stands still."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, Lines, Worker, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fakes import FakeSocket

Bench = Callable[..., PluginBench]


class Slow:
    """Answers every message a second later, and notes what happens."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    async def connect(self, connection: Connection) -> None:
        await asyncio.sleep(1)
        self.seen.append("connect")

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        self.seen.append(data)
        await asyncio.sleep(1)
        connection.send(data.upper())

    @hookimpl
    async def close(self, connection: Connection, reason: CloseReason) -> None:
        await asyncio.sleep(1)
        self.seen.append(reason)


def test_hooks_of_one_connection_run_one_after_the_other(plugin_bench: Bench) -> None:
    plugin = Slow()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"a")
    client.send(b"b")
    assert plugin.seen == []
    bench.advance(1)
    assert plugin.seen == ["connect", b"a"]
    assert client.received == b""
    bench.advance(1)
    assert plugin.seen == ["connect", b"a", b"b"]
    assert client.received == b"A"
    bench.advance(1)
    assert client.received == b"AB"


def test_connections_do_not_wait_for_each_other(plugin_bench: Bench) -> None:
    bench = plugin_bench(Slow())
    clients = [bench.connect() for _ in range(3)]
    for client in clients:
        client.send(b"x")
    bench.advance(2)
    assert [client.received for client in clients] == [b"X"] * 3


def test_a_client_that_sent_its_end_still_gets_its_answer(plugin_bench: Bench) -> None:
    plugin = Slow()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"a")
    client.end()
    bench.advance(2)
    assert client.received == b"A"
    bench.advance(1)
    assert plugin.seen == ["connect", b"a", CloseReason.PEER]
    assert client.closed is CloseReason.PEER


def test_a_hook_is_cancelled_when_its_client_is_reset(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Waiting:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        @hookimpl
        def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Waiting())
    client = bench.connect()
    client.send(b"x")
    client.reset()
    assert seen == ["cancelled", CloseReason.PEER]


def test_a_hook_that_waits_for_a_client_that_has_left_is_cancelled(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Waits:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            for _ in range(3):
                await asyncio.sleep(4)
                connection.send(b"still here")
            await asyncio.get_running_loop().create_future()

        @hookimpl
        def close(self, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Waits(), close_timeout=5)
    client = bench.connect()
    client.send(b"x")
    client.end()
    bench.advance(16.9)
    assert (seen, client.received) == ([], b"still here" * 3)
    bench.advance(0.2)
    assert seen == [CloseReason.PEER]


def test_a_hook_that_closed_its_connection_may_finish(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Saves:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.close()
            await asyncio.sleep(3)
            seen.append("saved")

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Saves(), close_timeout=5)
    bench.connect().send(b"x")
    bench.advance(4)
    assert seen == ["saved", CloseReason.LOCAL]


def test_a_hook_that_closed_its_connection_is_cancelled_after_close_timeout(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Dawdles:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.abort()
            await asyncio.sleep(30)
            seen.append("never")

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Dawdles(), close_timeout=5)
    bench.connect().send(b"x")
    bench.advance(4.9)
    assert seen == []
    bench.advance(0.2)
    assert seen == [CloseReason.LOCAL]


def test_a_hook_that_ignores_its_cancellation_is_abandoned(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Stubborn:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            while True:
                try:
                    return await asyncio.sleep(3)
                except asyncio.CancelledError:
                    seen.append("no")

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Stubborn())
    client = bench.connect()
    client.send(b"x")
    client.reset()
    assert seen == ["no"]
    with pytest.raises(TimeoutError, match="did not end when it was cancelled"):
        bench.advance(1.1)
    assert seen == ["no", CloseReason.PEER]
    bench.advance(10)
    assert seen == ["no", CloseReason.PEER]


def test_close_reaches_every_plugin_when_connect_is_cancelled(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class First:
        @hookimpl
        async def connect(self, connection: Connection) -> None:
            await asyncio.get_running_loop().create_future()

        @hookimpl
        def close(self, reason: CloseReason) -> None:
            seen.append(("first", reason))

    class Second:
        @hookimpl
        def connect(self) -> None:
            seen.append("connect")

        @hookimpl
        async def close(self, reason: CloseReason) -> None:
            seen.append(("second", reason))

    client = plugin_bench(First(), Second()).connect()
    client.reset()
    assert seen == ["connect", ("first", CloseReason.PEER), ("second", CloseReason.PEER)]


@pytest.mark.parametrize("failing", ["connect", "receive", "drain"])
def test_an_exception_closes_the_connection(plugin_bench: Bench, failing: str) -> None:
    async def fail(self: object, connection: Connection) -> None:
        await asyncio.sleep(0)
        raise ValueError("out of an async hook")

    plugin = type("Failing", (), {failing: hookimpl(fail)})()
    bench = plugin_bench(plugin)
    with pytest.raises(ValueError, match="out of an async hook"):  # noqa: PT012  each hook at its own time
        client = bench.connect()
        client.send(b"x")
        bench.drain()
    (only,) = bench._clients.values()
    assert only.closed is CloseReason.ERROR


def test_a_cancelled_error_from_elsewhere_is_an_error_of_the_plugin(plugin_bench: Bench) -> None:
    class AwaitsTheDead:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    client = plugin_bench(AwaitsTheDead()).connect()
    with pytest.raises(Exception, match="CancelledError"):
        client.send(b"x")
    assert client.closed is CloseReason.ERROR


def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


@pytest.mark.parametrize("cancel", [cancel_itself, cancel_all])
@pytest.mark.parametrize("failing", ["connect", "receive", "drain", "timer"])
def test_a_hook_that_a_plugin_cancels_has_failed(plugin_bench: Bench, failing: str, cancel: Callable[[], None]) -> None:
    async def fail(self: object, connection: Connection) -> None:
        cancel()
        await asyncio.sleep(1)

    async def schedule(self: object, connection: Connection) -> None:
        connection.call_later(0, fail, self, connection)

    hook, function = ("connect", schedule) if failing == "timer" else (failing, fail)
    bench = plugin_bench(type("Failing", (), {hook: hookimpl(function)})())
    with pytest.raises(Exception, match="CancelledError"):  # noqa: PT012  each hook at its own time
        client = bench.connect()
        client.send(b"x")
        bench.drain()
    (only,) = bench._clients.values()
    assert only.closed is CloseReason.ERROR


def test_the_close_hook_is_not_cancelled_with_the_hook_before_it(plugin_bench: Bench) -> None:
    seen: list[int] = []

    class CancelsItself:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            cancel_itself()
            await asyncio.sleep(1)

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            task = asyncio.current_task()
            assert task is not None
            await asyncio.sleep(0)
            seen.append(task.cancelling())

    client = plugin_bench(CancelsItself()).connect()
    with pytest.raises(Exception, match="CancelledError"):
        client.send(b"x")
    assert seen == [0]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a hook begins when it is called")
def test_a_task_that_is_cancelled_before_its_first_step_does_not_block_its_client(plugin_bench: Bench) -> None:
    """A plugin that cancels every task also meets the one of a hook that has not begun."""

    class CancelsOthers:
        @hookimpl
        def framing(self, service: str) -> object:
            return Lines()

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            if connection.id == 1:
                cancel_all()
            else:
                await asyncio.sleep(1)

    bench = plugin_bench(CancelsOthers())
    one, two = bench.connect(), bench.connect()
    one._socket.incoming.append(b"x\n")
    two._socket.incoming.append(b"x\n")
    with pytest.raises(Exception, match="CancelledError"):
        bench.settle()
    assert two.closed is CloseReason.ERROR


def test_plain_and_async_plugins_share_a_chain_in_order(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Plain:
        @hookimpl
        def receive(self, data: bytes) -> object:
            seen.append("plain")
            return True if data == b"mine" else None

    class Async:
        @hookimpl(tryfirst=True)
        async def receive(self, data: bytes) -> object:
            await asyncio.sleep(0)
            seen.append("async")
            return True if data == b"first" else None

    class Around:
        @hookimpl(wrapper=True)
        def receive(self) -> Any:
            seen.append("before")
            result = yield
            seen.append(f"after {result}")
            return result

    client = plugin_bench(Plain(), Async(), Around()).connect()
    client.send(b"first")
    client.send(b"mine")
    assert seen == ["before", "async", "after True", "before", "async", "plain", "after True"]


def test_the_queue_of_a_connection_is_bounded(plugin_bench: Bench) -> None:
    plugin = Slow()
    bench = plugin_bench(plugin)
    client = bench.connect()
    for _ in range(20):
        client.send(bytes(16 * 1024))
    waiting = len(client._socket.incoming)
    assert waiting > 10, "the client is not read any more"
    bench.advance(30)
    assert len(client.received) == 20 * 16 * 1024


def test_a_client_is_not_idle_while_its_hook_runs(plugin_bench: Bench) -> None:
    class Thinks:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(10)
            connection.send(data)

    bench = plugin_bench(Thinks(), idle_timeout=3)
    client = bench.connect()
    client.send(b"x")
    bench.advance(10)
    assert client.received == b"x"
    bench.advance(3.1)
    assert client.closed is CloseReason.IDLE


def test_drained_waits_until_the_client_has_read(plugin_bench: Bench) -> None:
    seen: list[bool] = []

    class Sends:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.send(bytes(1 << 20))
            seen.append(await connection.drained())

    bench = plugin_bench(Sends())
    client, other = bench.connect(), bench.connect()
    for each in (client, other):
        each.pause()
        each.send(b"x")
    assert seen == []
    client.resume()
    assert seen == [True]
    other.connection.abort()
    bench.settle()
    assert seen == [True, False]


def test_timers_may_be_async_and_end_with_their_connection(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Ticks:
        async def tick(self, name: str) -> None:
            await asyncio.sleep(1)
            seen.append(name)

        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            worker.call_later(1, self.tick, "worker")

        @hookimpl
        async def connect(self, connection: Connection) -> None:
            connection.call_later(2, self.tick, str(connection.id))

    bench = plugin_bench(Ticks())
    first, second = bench.connect(), bench.connect()
    bench.advance(2.5)
    second.reset()
    bench.advance(10)
    assert seen == ["worker", "1"]
    assert first.closed is None


def test_an_async_interval_begins_when_the_call_before_has_ended(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Every:
        async def tick(self) -> None:
            seen.append("begin")
            await asyncio.sleep(5)
            seen.append("end")

        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.call_every(1, self.tick)

        @hookimpl
        async def connect(self) -> None:
            """Make this a worker with async hooks."""

    plugin_bench(Every()).advance(12.5)
    assert seen == ["begin", "end", "begin", "end"]


def test_system_exit_in_a_timer_is_an_error_of_the_plugin(plugin_bench: Bench) -> None:
    class Exits:
        async def tick(self) -> None:
            await asyncio.sleep(0)
            sys.exit(3)

        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            worker.call_later(1, self.tick)

    bench = plugin_bench(Exits())
    with pytest.raises(Exception, match=r"called sys.exit\(3\)"):
        bench.advance(2)


def test_a_close_hook_that_never_ends_is_abandoned(plugin_bench: Bench) -> None:
    class Lingers:
        @hookimpl
        async def close(self, connection: Connection) -> None:
            await asyncio.get_running_loop().create_future()

    bench = plugin_bench(Lingers(), close_timeout=5)
    client = bench.connect()
    client.end()
    bench.advance(4.9)
    assert bench._service.transports
    bench.advance(0.2)
    assert not bench._service.transports


def test_a_close_hook_is_abandoned_after_another_hook_was(plugin_bench: Bench) -> None:
    begun: list[str] = []

    async def hang(name: str) -> None:
        begun.append(name)
        for _ in range(20):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

    class Stubborn:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await hang("receive")

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            await hang("close")

    bench = plugin_bench(Stubborn(), close_timeout=1.0)
    client = bench.connect()
    client.send(b"x")
    client.reset()
    with pytest.raises(TimeoutError, match="did not end"):
        bench.advance(1)
    assert begun == ["receive", "close"]
    assert bench._service.transports
    with pytest.raises(TimeoutError, match="did not end"):
        bench.advance(2)
    assert not bench._service.transports
    bench.advance(30)


def test_a_close_hook_has_its_time_if_the_call_before_it_was_dropped_before_it_began(plugin_bench: Bench) -> None:
    plugin = Slow()
    bench = plugin_bench(plugin)
    client = bench.connect()
    bench.advance(1)
    plugin.seen.clear()

    def receive_and_reset() -> None:
        # In one turn, before the loop runs the next task: without an eager start `receive` has not begun.
        client._transport.context.receive(client.connection, b"x")
        client._transport.handle_undelivered(None)

    bench._time.reactor.call_later(0, receive_and_reset)
    bench.advance(1)
    assert plugin.seen[-1] is CloseReason.PEER


def test_calls_that_wait_behind_a_hook_that_closes_are_dropped(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    class Closes:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            seen.append(data)
            connection.close()

    bench = plugin_bench(Closes())
    client = bench.connect(ends_too=False)
    client.send(b"one")
    client.send(b"two")
    bench.advance(5)
    assert seen == [b"one"]


def test_a_timer_that_closes_its_connection_may_finish(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Hangs:
        async def hang_up(self, connection: Connection) -> None:
            connection.close()
            await asyncio.sleep(1)
            seen.append("finished")

        @hookimpl
        async def connect(self, connection: Connection) -> None:
            connection.call_later(1, self.hang_up, connection)

    bench = plugin_bench(Hangs())
    bench.connect()
    bench.advance(3)
    assert seen == ["finished"]


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), "5", True], ids=repr)
def test_invalid_seconds_are_refused(plugin_bench: Bench, seconds: Any) -> None:
    bench = plugin_bench(Slow())
    connection = bench.connect().connection
    with pytest.raises((TypeError, ValueError), match="seconds must be"):
        connection.idle_timeout = seconds
    for call in (connection.call_later, bench.worker.call_later, bench.worker.call_every):
        with pytest.raises((TypeError, ValueError), match="seconds must be"):
            call(seconds, print)


def test_an_idle_timeout_is_not_negative(plugin_bench: Bench) -> None:
    connection = plugin_bench(Slow()).connect().connection
    with pytest.raises(ValueError, match="idle_timeout must not be negative"):
        connection.idle_timeout = -1


def test_an_async_timer_in_a_plain_worker_is_an_error(plugin_bench: Bench) -> None:
    class Plain:
        async def tick(self) -> None:
            """Never called."""

        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.call_later(1, self.tick)

    bench = plugin_bench(Plain())
    with pytest.raises(TypeError, match="requires a worker with async hooks"):
        bench.advance(1)


def test_worker_hooks_may_be_async(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Starts:
        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            await asyncio.sleep(0)
            seen.append(f"start {worker.plugin}")

        @hookimpl
        async def worker_stop(self) -> None:
            await asyncio.sleep(0)
            seen.append("stop")

    with PluginBench(Starts()) as bench:
        assert seen == ["start Starts"]
        bench.connect().end()
    assert seen == ["start Starts", "stop"]


class CleansUp:
    """Takes a moment to handle its cancellation."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.1)
            self.seen.append("saved")

    @hookimpl
    async def close(self, connection: Connection, reason: CloseReason) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.seen.append(task.cancelling())


@pytest.mark.parametrize("at_once", [True, False])
def test_a_worker_that_leaves_cancels_a_hook_once(plugin_bench: Bench, at_once: bool) -> None:
    plugin = CleansUp()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"x")
    queues = bench._parts.context.hook_queues
    assert queues is not None

    def leave() -> None:
        client._transport.close_for(CloseReason.SHUTDOWN, 1.0)
        if at_once:
            client._transport.abort()
        queues.hurry()

    bench._time.within(leave)
    bench.advance(1)
    assert plugin.seen == ["saved", 0]


def test_a_hook_that_has_not_begun_when_the_worker_leaves_ends_too(plugin_bench: Bench) -> None:
    plugin = CleansUp()
    bench = plugin_bench(plugin)
    client = bench.connect()
    queues = bench._parts.context.hook_queues
    assert queues is not None

    def receive_and_leave() -> None:
        client._transport.context.receive(client.connection, b"x")
        client._transport.abort()
        queues.hurry()

    bench._time.within(receive_and_leave)
    # Of a hook that ignores its cancellation the bench would raise an error.
    bench.advance(0.2)
    assert plugin.seen[-1] == 0


def test_close_hooks_of_a_client_that_is_gone_have_less_time_when_the_worker_leaves(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Saving:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.close()
            await asyncio.sleep(100)

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                seen.append("cancelled")

    bench = plugin_bench(Saving(), close_timeout=10.0)
    client = bench.connect()
    client.send(b"x")
    bench.advance(1)
    queues = bench._parts.context.hook_queues
    assert queues is not None
    bench._time.within(queues.hurry)
    bench.advance(1)
    assert seen == ["cancelled"]


class Endless:
    """Has a `receive` that never ends, and a `drain` of a kind."""

    def __init__(self, drain: Callable[[Connection], Any] | None = None) -> None:
        self.seen: list[Any] = []
        self.on_drain = drain or Connection.close

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                self.seen.append("works")
        finally:
            self.seen.append(f"receive ends, draining={connection.draining}")

    @hookimpl
    async def drain(self, connection: Connection) -> None:
        assert connection.draining
        self.seen.append("drain")
        await asyncio.sleep(0)
        connection.send(b"bye")
        self.on_drain(connection)

    @hookimpl
    async def close(self, connection: Connection, reason: CloseReason) -> None:
        self.seen.append(reason)


def test_drain_is_called_beside_a_receive_that_never_ends_and_closes_it(plugin_bench: Bench) -> None:
    plugin = Endless()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"x")
    assert not client.connection.draining
    bench.drain()
    assert client.received == b"bye"
    assert plugin.seen == ["drain", "receive ends, draining=True", CloseReason.LOCAL]
    assert client.closed is CloseReason.LOCAL


def test_a_receive_goes_on_beside_a_drain_that_leaves_the_connection_open(plugin_bench: Bench) -> None:
    plugin = Endless(lambda connection: None)
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"x")
    bench.drain()
    bench.advance(1)
    assert plugin.seen == ["drain", "works"]
    client.reset()
    assert plugin.seen[2:] == ["receive ends, draining=True", CloseReason.PEER]


def test_a_receive_that_closes_after_the_drain_may_finish(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Finishing:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            assert connection.draining
            connection.close()
            await asyncio.sleep(5)
            seen.append("finished")

        @hookimpl
        async def drain(self, connection: Connection) -> None:
            connection.send(b"soon")

    bench = plugin_bench(Finishing())
    client = bench.connect()
    client.send(b"x")
    bench.drain()
    bench.advance(7)
    assert (client.received, seen) == (b"soon", ["finished"])


def test_a_drain_that_has_closed_may_finish_before_close(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Saving:
        @hookimpl
        async def drain(self, connection: Connection) -> None:
            connection.close()
            await asyncio.sleep(5)
            seen.append("saved")

        @hookimpl
        def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Saving())
    bench.connect()
    bench.drain()
    bench.advance(4)
    assert seen == []
    bench.advance(1)
    assert seen == ["saved", CloseReason.LOCAL]


def test_a_drain_is_cancelled_when_its_client_is_reset(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Waiting:
        @hookimpl
        async def drain(self, connection: Connection) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                seen.append("cancelled")

        @hookimpl
        def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Waiting())
    client = bench.connect()
    bench.drain()
    client.reset()
    assert seen == ["cancelled", CloseReason.PEER]


class Parting:
    """Echoes, and says goodbye a second after the drain."""

    def __init__(self, made: object = None) -> None:
        self.made = made

    @hookimpl
    def framing(self, service: str) -> object:
        return self.made

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        connection.send(data)

    @hookimpl
    async def drain(self, connection: Connection) -> None:
        await asyncio.sleep(1)
        connection.send(b"bye")


@pytest.mark.parametrize("made", [None, Lines()], ids=["plain", "framed"])
def test_messages_do_not_wait_for_a_drain(plugin_bench: Bench, made: object) -> None:
    bench = plugin_bench(Parting(made))
    client = bench.connect()
    bench.drain()
    client.send(b"a\n")
    client.send(b"b\n")
    assert client.received.replace(b"\n", b"") == b"ab"
    bench.advance(1)
    assert client.received.endswith(b"bye")
    assert client.closed is None


def test_a_client_that_has_sent_its_end_is_kept_until_its_drain_has_ended(plugin_bench: Bench) -> None:
    bench = plugin_bench(Parting())
    client = bench.connect()
    bench.drain()
    client.end()
    assert client.closed is None
    bench.advance(1)
    assert client.received == b"bye"
    assert bench._clients[1].closed is CloseReason.PEER


def test_a_connection_is_not_idle_while_its_drain_runs(plugin_bench: Bench) -> None:
    bench = plugin_bench(Parting(), idle_timeout=0.4)
    client = bench.connect()
    bench.drain()
    bench.advance(1)
    assert client.received == b"bye"
    bench.advance(0.5)
    assert client.closed is CloseReason.IDLE


def test_a_client_that_is_reset_as_it_is_accepted_gets_connect_and_then_close(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    class Slow:
        @hookimpl
        async def connect(self, connection: Connection) -> None:
            seen.append("connect")
            await asyncio.get_running_loop().create_future()

        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            await asyncio.sleep(1)
            seen.append(reason)

    bench = plugin_bench(Slow())
    service = bench._service

    def accept_and_reset() -> None:
        # In one turn, before the loop runs the next task: without an eager start `connect` has not begun.
        sock = FakeSocket()
        bench._time.poller.open(sock)
        transport = service.begin(sock, ("127.0.0.1", 40_000))
        bench._clients[transport.connection.id] = BenchClient(bench.settle, sock, transport, ends_too=True)
        transport.handle_undelivered(None)

    bench._time.reactor.call_later(0, accept_and_reset)
    bench.advance(1)
    assert seen == ["connect", CloseReason.PEER]
