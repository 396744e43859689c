"""The hook `eof`: a client has ended its side, and a plugin may keep the connection to send more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from reactorhost import CloseReason, Connection, Delimited, Lines, Worker, hookimpl
from reactorhost.api.connection_ended import ConnectionEndedError
from reactorhost.reactor import READ, WRITE
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fakes import FakeSocket
from reactorhost.worker.stream import ending
from reactorhost.worker.stream.protocol import HANG_UP
from reactorhost.worker.stream.socket import HangUp

Bench = Callable[..., PluginBench]
MIB = 1024 * 1024


class Keeper:
    """Notes what is called, and keeps a client that has ended if `keeps`."""

    def __init__(self, keeps: object = True) -> None:
        self.keeps = keeps
        self.calls: list[object] = []

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.calls.append(data)

    @hookimpl
    def eof(self, connection: Connection) -> object:
        self.calls.append("eof")
        return self.keeps

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.calls.append(reason)


def test_a_kept_client_is_sent_to_after_its_end(plugin_bench: Bench) -> None:
    keeper = Keeper()
    bench = plugin_bench(keeper)
    client = bench.connect()
    client.send(b"question")
    client.end()
    assert keeper.calls == [b"question", "eof"]
    bench.advance(3600)
    assert client.connection.send(b"answer")
    client.connection.close()
    bench.settle()
    assert client.received == b"answer"
    assert client.eof
    assert keeper.calls == [b"question", "eof", CloseReason.LOCAL]


def test_both_ends_together_end_a_kept_connection(plugin_bench: Bench) -> None:
    keeper = Keeper()
    bench = plugin_bench(keeper)
    client = bench.connect()
    client.end()
    client.connection.send(b"answer")
    client.connection.send_eof()
    bench.settle()
    assert (client.received, client.closed) == (b"answer", CloseReason.PEER)


def test_the_end_of_a_client_behind_ours_ends_the_connection(plugin_bench: Bench) -> None:
    keeper = Keeper()
    bench = plugin_bench(keeper)
    client = bench.connect()
    client.connection.send_eof()
    bench.settle()
    assert client.closed is None
    client.end()
    assert keeper.calls == ["eof", CloseReason.PEER]


def test_our_end_waits_for_what_is_queued(plugin_bench: Bench) -> None:
    bench = plugin_bench(Keeper())
    client = bench.connect()
    client.pause()
    client.end()
    client.connection.send(b"x" * MIB)
    client.connection.send_eof()
    bench.settle()
    assert (client.closed, client.eof) == (None, False)
    client.resume()
    assert (len(client.received), client.eof, client.closed) == (MIB, True, CloseReason.PEER)


@pytest.mark.parametrize("keeps", [None, False])
def test_a_client_that_is_not_kept_gets_what_is_queued(plugin_bench: Bench, keeps: object) -> None:
    keeper = Keeper(keeps)
    bench = plugin_bench(keeper)
    client = bench.connect()
    client.pause()
    client.connection.send(b"x" * MIB)
    client.end()
    assert keeper.calls == [], "a client that does not read is not read"
    client.resume()
    assert len(client.received) == MIB
    assert keeper.calls == ["eof", CloseReason.PEER]


def test_the_first_value_decides(plugin_bench: Bench) -> None:
    class Other(Keeper):
        pass

    class Third(Keeper):
        pass

    plugins = Keeper(None), Other(False), Third(True)
    client = plugin_bench(*plugins).connect()
    client.end()
    assert [each.calls[:1] for each in plugins] == [["eof"], ["eof"], [CloseReason.PEER]]


def test_every_message_comes_before_the_end(plugin_bench: Bench) -> None:
    keeper = Keeper()
    bench = plugin_bench(keeper, framing="lines")
    client = bench.connect()
    client.connection.pause()
    client._socket.incoming.append(b"one\ntwo\nthr")
    client.end()
    assert keeper.calls == []
    client.connection.resume()
    bench.settle()
    assert keeper.calls == [b"one", b"two", "eof"]


def test_a_failed_send_ends_a_kept_connection(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: FakeSocket, data: bytes | memoryview) -> int:
        raise BrokenPipeError

    bench = plugin_bench(Keeper())
    client = bench.connect()
    client.end()
    monkeypatch.setattr(FakeSocket, "send", broken)
    assert not client.connection.send(b"too late")
    bench.settle()
    assert client.closed is CloseReason.PEER


def test_a_kept_client_that_resets_is_noticed(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = plugin_bench(Keeper()).connect()
    client.end()
    assert client._transport.interest, "it is still registered"
    monkeypatch.setattr(ending, "hang_up", lambda *_: HangUp.BROKEN)
    client._transport.ready(READ | WRITE)
    client._settle()
    assert client.closed is CloseReason.PEER


def test_a_kept_client_becomes_idle(plugin_bench: Bench) -> None:
    bench = plugin_bench(Keeper(), idle_timeout=5.0)
    client = bench.connect()
    client.end()
    bench.advance(4.9)
    client.connection.send(b"tick")
    bench.advance(4.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.IDLE


def test_the_silence_of_a_kept_client_begins_with_its_end(plugin_bench: Bench) -> None:
    class Hasty(Keeper):
        @hookimpl(tryfirst=True, specname="eof")
        def limit(self, connection: Connection) -> None:
            connection.idle_timeout = 5.0

    bench = plugin_bench(Hasty())
    client = bench.connect()
    bench.advance(3600)
    client.end()
    bench.advance(4.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.IDLE


def test_an_exception_closes_the_connection(plugin_bench: Bench) -> None:
    class Broken:
        @hookimpl
        def eof(self, connection: Connection) -> bool:
            raise ValueError("no")

    client = plugin_bench(Broken).connect()
    with pytest.raises(ValueError, match="no") as caught:
        client.end()
    assert caught.value.__notes__[0].startswith("raised in eof of plugin Broken")
    assert client.closed is CloseReason.ERROR


def test_a_hook_that_runs_delays_the_end(plugin_bench: Bench) -> None:
    class Slow(Keeper):
        @hookimpl(specname="receive")
        async def wait(self, connection: Connection, data: bytes) -> None:
            await self.worker.run_in_thread(self.calls.append, "done")

        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            self.worker = worker

    slow = Slow()
    client = plugin_bench(slow).connect()
    client._socket.incoming.append(b"one")
    client.end()
    assert slow.calls == ["done", b"one", "eof"]
    assert client.closed is None


def test_the_end_of_an_outbound_connection_is_reported_to_its_handler(plugin_bench: Bench) -> None:
    keeper = Keeper()

    class Dialing:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.connect("tcp://server:1", keeper)

    bench = plugin_bench(Dialing)
    far_end: BenchClient = bench.outbound[0]
    far_end.end()
    far_end.connection.send(b"more")
    far_end.connection.send_eof()
    bench.settle()
    assert (far_end.received, far_end.closed) == (b"more", CloseReason.PEER)
    assert keeper.calls == ["eof", CloseReason.PEER]


def test_a_framing_may_change_before_the_end(plugin_bench: Bench) -> None:
    keeper = Keeper()
    client = plugin_bench(keeper).connect()
    client.connection.framing = Lines()
    client.send(b"half")
    client.end()
    assert keeper.calls == ["eof"]


def test_a_client_that_is_kept_after_a_slow_hook_becomes_idle(plugin_bench: Bench) -> None:
    class Slow(Keeper):
        @hookimpl(specname="receive")
        async def wait(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1.0)

    slow = Slow()
    bench = plugin_bench(slow, idle_timeout=5.0, close_timeout=30.0)
    client = bench.connect()
    client.send(b"one")
    client.end()
    assert slow.calls == []
    bench.advance(1.0)
    assert slow.calls == [b"one", "eof"]
    bench.advance(4.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.IDLE


def test_a_task_for_a_kept_client_may_take_long(plugin_bench: Bench) -> None:
    class Task(Keeper):
        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            """Needs a loop."""

        @hookimpl(tryfirst=True, specname="eof")
        def begin(self, connection: Connection) -> None:
            connection.create_task(self.answer(connection))

        async def answer(self, connection: Connection) -> None:
            await asyncio.sleep(3600)
            connection.send(b"answer")

    bench = plugin_bench(Task())
    client = bench.connect()
    client.end()
    bench.advance(3600)
    assert (client.received, client.closed) == (b"answer", None)


@pytest.mark.parametrize("plugins", [[Keeper(None)], []])
def test_if_no_plugin_keeps_a_client_its_end_is_as_without_the_hook(plugin_bench: Bench, plugins: list[Keeper]) -> None:
    class Plain:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            """Receive nothing."""

    bench = plugin_bench(Plain, *plugins)
    client = bench.connect()
    client.connection.full_duplex = True
    client.pause()
    client.connection.send(b"x" * MIB)
    client.end()
    bench.advance(3600)
    assert (client.connection.send(b"more"), client.closed) == (True, None), "open until everything is sent"
    client.resume()
    assert (len(client.received), client.closed) == (MIB + 4, CloseReason.PEER)


def test_messages_of_a_framing_set_after_the_end_wait_for_resume(plugin_bench: Bench) -> None:
    class Rest(Keeper):
        @hookimpl(tryfirst=True, specname="eof")
        def change(self, connection: Connection) -> None:
            connection.framing = Lines()

        @hookimpl
        def framing(self) -> Delimited:
            return Delimited(b";")

        @hookimpl(tryfirst=True, specname="receive")
        def stop(self, connection: Connection, data: bytes) -> None:
            connection.pause()

    rest = Rest()
    bench = plugin_bench(rest)
    client = bench.connect()
    client.send(b"one\ntwo\n")
    client.end()
    assert rest.calls == ["eof", b"one"]
    client.connection.resume()
    bench.settle()
    assert rest.calls == ["eof", b"one", b"two"]
    assert client.closed is None


def test_a_client_that_a_task_keeps_is_watched_while_it_is_paused(plugin_bench: Bench) -> None:
    class Task(Keeper):
        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            """Needs a loop."""

        @hookimpl(tryfirst=True, specname="eof")
        def begin(self, connection: Connection) -> None:
            connection.create_task(asyncio.sleep(3600))

    client = plugin_bench(Task(None)).connect()
    client.pause()
    client.end()
    client.connection.send(b"x" * MIB)
    client.resume()
    assert (client.closed, client._transport.interest) == (None, 0)
    client.connection.pause()
    assert client._transport.interest == HANG_UP


def test_an_end_that_the_hook_raises_ends_the_connection(plugin_bench: Bench) -> None:
    class Raising(Keeper):
        @hookimpl(tryfirst=True, specname="eof")
        def fail(self, connection: Connection) -> None:
            # As the result of an operation that the client has interrupted does; it is not an error of the plugin.
            raise ConnectionEndedError("ended", client._transport.variables)

    client = plugin_bench(Raising()).connect()
    client.end()
    assert client.closed is CloseReason.PEER


def test_a_task_that_begins_in_the_turn_of_the_end_delays_the_hook(plugin_bench: Bench) -> None:
    class Looping(Keeper):
        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            """Needs a loop."""

    keeper = Looping()
    bench = plugin_bench(keeper)
    client = bench.connect()

    def turn() -> None:
        client._transport.handle_undelivered(b"")
        client.connection.create_task(asyncio.sleep(5))

    bench._time.within(turn)
    bench.settle()
    assert keeper.calls == []
    bench.advance(5)
    assert keeper.calls == ["eof"]


def test_a_kept_connection_whose_other_half_is_over_is_not_registered_again(plugin_bench: Bench) -> None:
    keeper = Keeper()
    bench = plugin_bench(keeper)
    client = bench.connect()
    client.connection.send_eof()
    registered: list[int] = []
    poller = bench._time.poller
    register = poller.register

    def counting(descriptor: int, events: int) -> None:
        registered.append(descriptor)
        register(descriptor, events)

    poller.register = counting  # type: ignore[method-assign]
    client.end()
    assert keeper.calls == ["eof", CloseReason.PEER]
    assert registered == []
