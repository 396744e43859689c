"""Clients that leave while something is under way, and the time that a connection has for its end; on a bench."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost.reactor import READ, WRITE
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fakes import FakeSocket
from reactorhost.worker.stream import deadlines, ending
from reactorhost.worker.stream.socket import HangUp

Bench = Callable[..., PluginBench]
MIB = 1024 * 1024


class Echo:
    """Answers everything, and notes what `send` returns."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.results: list[bool] = []

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.seen.append(data)
        self.results.append(connection.send(data))


def broken(self: FakeSocket, data: bytes | memoryview) -> int:
    raise BrokenPipeError


def hang_up(client: BenchClient, monkeypatch: pytest.MonkeyPatch, how: HangUp) -> None:
    """Report a hang-up of a client that is not read, as epoll does."""
    monkeypatch.setattr(ending, "hang_up", lambda *_: how)
    client._transport.ready(READ | WRITE)
    client._settle()


def waiting(client: BenchClient, *items: bytes | Exception) -> None:
    """Put into the kernel's queue what the host does not read now."""
    client._socket.incoming.extend(items)


# A failed send


def test_a_failed_send_leaves_the_other_half(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Echo()
    client = plugin_bench(plugin).connect()
    client.send(b"one")
    monkeypatch.setattr(FakeSocket, "send", broken)
    client.send(b"two")
    client.send(b"three")
    assert client.closed is None
    assert (plugin.seen, plugin.results) == ([b"one", b"two", b"three"], [True, False, False])
    client.end()
    assert client.closed is CloseReason.PEER


def test_input_is_still_read_after_a_flush_fails(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Echo()
    bench = plugin_bench(plugin)
    client = bench.connect()
    drained: list[object] = []
    client.pause()
    client.send(b"x" * MIB)
    client.connection.when_drained(drained.append, "never")
    waiting(client, b"more", b"")
    bench.settle()
    assert b"more" not in plugin.seen, "a client that does not read is not read"
    monkeypatch.setattr(FakeSocket, "send", broken)
    client.resume()
    assert plugin.seen[-1] == b"more"
    assert (client.closed, client.connection.queued, drained) == (CloseReason.PEER, 0, [])


def test_a_close_after_a_failed_send_ends_at_once(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = plugin_bench(Echo()).connect()
    monkeypatch.setattr(FakeSocket, "send", broken)
    client.send(b"one")
    client.connection.close()
    client._settle()
    assert client.closed is CloseReason.LOCAL


# A reset behind messages


class SlowLines:
    """Takes a second for each message."""

    def __init__(self, *, framed: bool = True) -> None:
        self._framed = framed
        self.seen: list[bytes] = []

    @hookimpl
    def framing(self) -> object:
        return Lines() if self._framed else None

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        await asyncio.sleep(1)
        self.seen.append(data)


@pytest.mark.parametrize("framed", [True, False])
def test_messages_that_were_read_before_a_reset_are_delivered(plugin_bench: Bench, framed: bool) -> None:
    plugin = SlowLines(framed=framed)
    bench = plugin_bench(plugin, close_timeout=5)
    client = bench.connect()
    if framed:
        client.send(b"x\n" * 20)
    else:
        for _ in range(20):
            client.send(b"x")
    client.reset()
    bench.advance(19.9)
    assert (client.closed is None, len(plugin.seen)) == (True, 19)
    bench.advance(1)
    assert (client.closed, len(plugin.seen)) == (CloseReason.PEER, 20)


def test_a_hook_that_does_not_end_after_a_reset_delays_no_other_connection(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    class Stuck:
        @hookimpl
        async def receive(self, data: bytes) -> None:
            seen.append(data)
            await asyncio.get_running_loop().create_future()

    bench = plugin_bench(Stuck(), close_timeout=5)
    client = bench.connect()
    client.send(b"one")
    client.send(b"two")
    client.reset()
    bench.advance(4.9)
    assert client.closed is None
    bench.advance(0.2)
    assert (str(client.closed), seen) == ("peer", [b"one"])


def test_a_hook_is_cancelled_at_once_when_no_message_waits_behind_it(plugin_bench: Bench) -> None:
    seen: list[object] = []

    class Stuck:
        @hookimpl
        def framing(self) -> object:
            return Lines()

        @hookimpl
        async def receive(self, data: bytes) -> None:
            seen.append(data)
            await asyncio.get_running_loop().create_future()

        @hookimpl
        def close(self, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Stuck())
    client = bench.connect()
    client.send(b"one\nincomplete")
    client.reset()
    assert seen == [b"one", CloseReason.PEER]


def test_a_framing_that_fails_behind_a_reset_is_reported(plugin_bench: Bench) -> None:
    class Fails:
        def feed(self, data: bytes) -> Iterator[bytes]:
            yield data
            raise KeyError(data)

    class Brings:
        @hookimpl
        def framing(self) -> object:
            return Fails()

        @hookimpl
        async def receive(self, data: bytes) -> None:
            await asyncio.get_running_loop().create_future()

    bench = plugin_bench(Brings())
    client = bench.connect()
    client.send(b"one")
    with pytest.raises(KeyError):
        client.reset()
    assert client.closed is CloseReason.ERROR


# A hang-up while nothing is read


class Pauses(Echo):
    """Pauses at the message `pause`."""

    bench: PluginBench

    @hookimpl(tryfirst=True)
    def receive(self, connection: Connection, data: bytes) -> None:
        super().receive(connection, data)
        if data == b"pause":
            connection.pause()


@pytest.fixture
def paused(plugin_bench: Bench) -> tuple[BenchClient, Pauses]:
    plugin = Pauses()
    plugin.bench = plugin_bench(plugin)
    client = plugin.bench.connect()
    client.send(b"pause")
    return client, plugin


@pytest.mark.parametrize("how", [HangUp.ORDERLY, HangUp.BROKEN])
def test_a_paused_client_that_hangs_up_ends(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch, how: HangUp
) -> None:
    client, _ = paused
    waiting(client, b"" if how is HangUp.ORDERLY else ConnectionResetError())
    hang_up(client, monkeypatch, how)
    assert client.closed is CloseReason.PEER


def test_an_event_of_an_earlier_registration_ends_nothing(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, plugin = paused
    hang_up(client, monkeypatch, HangUp.NO)
    client.connection.resume()
    client.send(b"still here")
    assert plugin.seen == [b"pause", b"still here"]


def test_input_of_a_paused_client_that_closed_waits_for_resume(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, plugin = paused
    waiting(client, b"last", b"words", b"")
    hang_up(client, monkeypatch, HangUp.ORDERLY)
    plugin.bench.advance(60)
    assert (client.closed is None, plugin.seen) == (True, [b"pause"])
    client.connection.resume()
    client._settle()
    assert (client.closed, plugin.seen) == (CloseReason.PEER, [b"pause", b"last", b"words"])


def test_input_of_a_paused_client_that_was_reset_waits_for_a_short_time(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, plugin = paused
    waiting(client, b"last words", ConnectionResetError())
    hang_up(client, monkeypatch, HangUp.BROKEN)
    assert client.closed is None
    client.connection.idle_timeout = 100
    plugin.bench.advance(1)
    assert (str(client.closed), plugin.seen) == ("peer", [b"pause"])


def test_a_resume_in_that_time_delivers_the_input(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, plugin = paused
    waiting(client, b"last", b"words", ConnectionResetError())
    hang_up(client, monkeypatch, HangUp.BROKEN)
    plugin.bench.advance(0.4)
    client.connection.resume()
    plugin.bench.advance(0.4)
    assert (client.closed, plugin.seen) == (CloseReason.PEER, [b"pause", b"last", b"words"])


def test_a_send_to_a_paused_client_that_fails_ends_it(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = paused
    monkeypatch.setattr(FakeSocket, "send", broken)
    waiting(client, ConnectionResetError())
    assert not client.connection.send(b"are you there?")
    client._settle()
    assert client.closed is CloseReason.PEER


def test_a_client_whose_hooks_are_behind_is_received_to_its_end(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = SlowLines(framed=False)
    bench = plugin_bench(plugin)
    client = bench.connect()
    for _ in range(6):
        client.send(bytes(16 * 1024))
    waiting(client, b"last words", b"")
    hang_up(client, monkeypatch, HangUp.BROKEN)
    assert not client.connection.send(b"x")
    bench.advance(20)
    assert (client.closed, plugin.seen[-1]) == (CloseReason.PEER, b"last words")


class Boss:
    """Pauses another client and sends to it when one says so."""

    other: Connection

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.seen.append(data)
        if data == b"go":
            self.other.pause()
            self.other.send(b"x")


@pytest.mark.parametrize("unread", [[], [b"second"]])
def test_what_was_read_of_a_client_in_the_turn_of_its_pause_is_delivered(
    plugin_bench: Bench, unread: list[bytes]
) -> None:
    plugin = Boss()
    bench = plugin_bench(plugin)
    one, two = bench.connect(), bench.connect()
    plugin.other = two.connection
    # Both are read in one turn, and the send to the second one fails.
    waiting(two, b"first", *unread, ConnectionResetError())
    one.send(b"go")
    assert two.closed is None
    two.connection.resume()
    bench.settle()
    assert plugin.seen == [b"go", b"first", *unread]
    assert two.closed is CloseReason.PEER


def test_a_partial_tls_record_of_a_paused_client_is_not_its_end(
    paused: tuple[BenchClient, Pauses], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, plugin = paused
    # A TLS socket whose read has completed no record.
    hang_up(client, monkeypatch, HangUp.BROKEN)
    assert client.closed is None
    waiting(client, b"rest", ConnectionResetError())
    client.connection.resume()
    client._settle()
    assert plugin.seen[-1] == b"rest"
    assert client.closed is CloseReason.PEER


def test_a_client_that_is_paused_after_its_end_is_noticed_when_it_breaks(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            connection.pause()

    bench = plugin_bench(Late())
    client = bench.connect()
    client.send(b"x")
    client.end()
    bench.advance(1.5)
    assert client.closed is None
    hang_up(client, monkeypatch, HangUp.BROKEN)
    assert client.closed is CloseReason.PEER


def test_a_paused_client_that_closes_while_its_hook_runs_ends_after_the_hook(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Works:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.pause()
            await asyncio.sleep(1)

    bench = plugin_bench(Works())
    client = bench.connect()
    client.send(b"x")
    waiting(client, b"")
    hang_up(client, monkeypatch, HangUp.ORDERLY)
    assert client.closed is None
    bench.advance(1.5)
    assert client.closed is CloseReason.PEER


def test_the_silence_of_a_client_that_ended_is_measured_from_its_end(plugin_bench: Bench) -> None:
    class Long:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(15)
            connection.send(b"answer")

    bench = plugin_bench(Long())
    client = bench.connect()
    client.send(b"x")
    bench.advance(11)
    client.end()
    bench.advance(5)
    assert client.received == b"answer"


# Pauses


def test_a_pause_holds_what_waits_for_async_hooks_but_not_drain(plugin_bench: Bench) -> None:
    seen: list[object] = []

    class Works:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            seen.append(data)
            connection.pause()

        @hookimpl
        async def drain(self, connection: Connection) -> None:
            seen.append("drain")

    bench = plugin_bench(Works(), idle_timeout=30)
    client = bench.connect()
    for data in (b"one", b"two", b"three"):
        client.send(data)
    bench.advance(10)
    assert seen == [b"one"]
    bench.drain()
    assert seen == [b"one", "drain"]
    client.connection.resume()
    bench.settle()
    bench.advance(10)
    assert seen == [b"one", "drain", b"two"]
    bench.advance(100)
    assert client.closed is None, "the plugin works for this client"
    client.connection.resume()
    client.end()
    bench.advance(0.5)
    assert client.closed is None
    bench.advance(1)
    assert (seen[-1], client.closed is None) == (b"three", True)
    client.connection.resume()
    bench.settle()
    assert client.closed is CloseReason.PEER


def test_a_client_that_has_ended_gets_the_answer_for_which_it_was_paused(plugin_bench: Bench) -> None:
    class Answers:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            connection.pause()
            connection.call_later(30, self.answer, connection, data)

        def answer(self, connection: Connection, data: bytes) -> None:
            connection.resume()
            connection.send(data.upper())

    bench = plugin_bench(Answers(), close_timeout=5)
    client = bench.connect()
    client.send(b"question")
    client.end()
    bench.advance(30.9)
    assert client.closed is None
    bench.advance(0.2)
    assert (client.received, str(client.closed)) == (b"QUESTION", "peer")


def test_a_held_queue_is_dropped_when_the_connection_is_closed(plugin_bench: Bench) -> None:
    seen: list[object] = []

    class Works:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            seen.append(data)
            connection.pause()
            connection.call_later(1, connection.close)

        @hookimpl
        async def close(self, reason: CloseReason) -> None:
            seen.append(reason)

    bench = plugin_bench(Works())
    client = bench.connect()
    client.send(b"one")
    client.send(b"two")
    bench.advance(5)
    assert seen[-1] is CloseReason.LOCAL
    assert seen[:-1] == [b"one"]


def test_a_paused_client_is_not_idle_and_has_all_its_time_after_resume(plugin_bench: Bench) -> None:
    bench = plugin_bench(Echo(), idle_timeout=10)
    client = bench.connect()
    client.connection.pause()
    bench.advance(95)
    client.connection.resume()
    bench.advance(9.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.IDLE


# The deadline of a close


class Generous:
    """Sends a mebibyte and closes."""

    @hookimpl
    def receive(self, connection: Connection) -> None:
        connection.send(bytes(MIB))
        connection.close()


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [vars(record)["reactorhost_fields"] for record in caplog.records if record.msg == event]


def test_a_close_lasts_as_long_as_bytes_are_sent(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = FakeSocket.send

    def send_some(self: FakeSocket, data: bytes | memoryview) -> int:
        taken = send(self, data[:50_000])
        self.reading = False
        return taken

    monkeypatch.setattr(FakeSocket, "send", send_some)
    bench = plugin_bench(Generous(), close_timeout=10)
    client = bench.connect()
    client.pause()
    client.send(b"x")
    for seconds in range(20):
        assert (client.closed is None, len(client.received)) == (True, 50_000 * seconds)
        client.resume()
        bench.advance(8)
    bench.advance(5)
    assert client.closed is CloseReason.TIMEOUT
    (line,) = logged(caplog, "close_timed_out")
    assert (line["connection"], line["queued_bytes"], line["suppressed"]) == (1, MIB - 1_000_000, 0)


def test_bytes_that_the_client_acknowledges_are_progress_too(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = plugin_bench(Generous(), close_timeout=10)
    unacknowledged = [MIB]
    monkeypatch.setattr(deadlines, "unacknowledged_bytes", lambda sock: unacknowledged[0])
    client = bench.connect(ends_too=False)
    client.send(b"x")
    for _ in range(10):
        bench.advance(8)
        unacknowledged[0] -= 1000
    assert client.closed is None
    bench.advance(20)
    assert client.closed is CloseReason.TIMEOUT


def test_a_client_that_has_everything_is_not_reset(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[object] = []
    monkeypatch.setattr(FakeSocket, "setsockopt", lambda self, *option: options.append(option))
    monkeypatch.setattr(deadlines, "unacknowledged_bytes", lambda sock: 0)
    bench = plugin_bench(Generous(), close_timeout=10)
    client = bench.connect(ends_too=False)
    client.send(b"x")
    bench.advance(9.9)
    assert client.closed is None
    bench.advance(0.2)
    assert (str(client.closed), options) == ("local", [])


@pytest.mark.parametrize(
    ("drains", "unacknowledged", "sends", "ends"),
    [
        (True, 0, False, True),
        (False, 0, False, False),
        (True, 1, False, False),
        # The kernel may not say.
        (True, None, False, False),
        (True, 0, True, False),
    ],
    ids=["leaving", "serving", "not acknowledged", "unknown", "sending"],
)
def test_a_worker_that_leaves_does_not_wait_for_a_quiet_client_that_has_everything(
    plugin_bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    drains: bool,
    unacknowledged: int | None,
    sends: bool,
    ends: bool,
) -> None:
    monkeypatch.setattr(deadlines, "unacknowledged_bytes", lambda sock: unacknowledged)
    bench = plugin_bench(Generous(), close_timeout=10)
    client = bench.connect(ends_too=False)
    if drains:
        bench.drain()
    client.send(b"x")
    bench.advance(0.8)
    assert (client.closed, client.eof) == (None, True)
    for _ in range(4):
        if sends:
            client.send(b"more")
        bench.advance(0.4)
    assert (client.closed is not None) is ends


def test_a_client_that_was_closed_before_the_drain_is_left_soon_too(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "unacknowledged_bytes", lambda sock: 0)
    bench = plugin_bench(Generous(), close_timeout=1000)
    client = bench.connect(ends_too=False)
    client.send(b"x")
    bench.drain()
    bench.advance(2.1)
    assert client.closed is CloseReason.LOCAL


def test_close_timed_out_is_rate_limited(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench = plugin_bench(Generous(), close_timeout=1)
    clients = [bench.connect() for _ in range(20)]
    for client in clients:
        client.pause()
        client.send(b"x")
    bench.advance(2)
    assert {client.closed for client in clients} == {CloseReason.TIMEOUT}
    assert len(logged(caplog, "close_timed_out")) == 5


def test_progress_does_not_move_the_deadline_of_a_shutdown(plugin_bench: Bench) -> None:
    bench = plugin_bench(Generous(), close_timeout=100)
    client = bench.connect()
    client.pause()
    client.send(b"x")
    client._transport.close_for(CloseReason.SHUTDOWN, 1.0)
    bench.advance(1.1)
    assert client.closed is CloseReason.LOCAL


def test_closing_again_does_not_put_off_the_deadline(plugin_bench: Bench) -> None:
    bench = plugin_bench(Echo())
    client = bench.connect(ends_too=False)
    client._transport.close_for(CloseReason.SHUTDOWN, 1.0)
    bench.advance(0.5)
    client.connection.close()
    bench.advance(0.6)
    assert client.closed is CloseReason.SHUTDOWN
