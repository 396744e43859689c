"""`throttle`, a pause with an end, beside everything that happens to a connection meanwhile; on a bench."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost.reactor import READ, WRITE
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fakes import FakeSocket
from reactorhost.worker.stream import ending
from reactorhost.worker.stream.socket import HangUp
from tls_peer import SERVER, TlsPeer, with_real_tls

Bench = Callable[..., PluginBench]


class Slow:
    """Answers, and reads the next message a second after each."""

    def __init__(self, *, framed: bool = False, seconds: float = 1.0) -> None:
        self.framed = framed
        self.seconds = seconds
        self.seen: list[object] = []

    @hookimpl
    def framing(self) -> object:
        return Lines() if self.framed else None

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.note(connection, data)

    @hookimpl
    def close(self, reason: CloseReason) -> None:
        self.seen.append(reason)

    def note(self, connection: Connection, data: bytes) -> None:
        self.seen.append(data)
        connection.send(data)
        connection.throttle(self.seconds)


class SlowAsync(Slow):
    """The same, with a hook that awaits."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.note(connection, data)


class Quiet(Slow):
    """Notes what it receives."""

    def note(self, connection: Connection, data: bytes) -> None:
        self.seen.append(data)


def throttles(bench: PluginBench) -> int:
    """Return how many connections are throttled."""
    return len(bench._parts.context.throttles)


def waiting(client: BenchClient, *items: bytes | Exception) -> None:
    """Put into the kernel's queue what the host does not read now."""
    client._socket.incoming.extend(items)


def hang_up(client: BenchClient, monkeypatch: pytest.MonkeyPatch, how: HangUp) -> None:
    """Report a hang-up of a client that is not read, as epoll does."""
    monkeypatch.setattr(ending, "hang_up", lambda *_: how)
    client._transport.ready(READ | WRITE)
    client._settle()


@pytest.mark.parametrize("kind", [Slow, SlowAsync])
@pytest.mark.parametrize("framed", [True, False], ids=["lines", "bytes"])
@pytest.mark.parametrize("ends", [True, False])
def test_each_message_waits_for_the_time_that_the_one_before_has_set(
    plugin_bench: Bench, kind: type[Slow], framed: bool, ends: bool
) -> None:
    plugin = kind(framed=framed)
    bench = plugin_bench(plugin, idle_timeout=0.7, close_timeout=0.7, message_timeout=0.7)
    client = bench.connect()
    if framed:
        client.send(b"1\n2\n3\n")
    else:
        for data in (b"1", b"2", b"3"):
            client.send(data)
    if ends:
        client.end()
    for seen in ([b"1"], [b"1", b"2"]):
        assert (plugin.seen, client.closed) == (seen, None)
        bench.advance(0.75)
        assert (plugin.seen, client.closed) == (seen, None)
        bench.advance(0.25)
    assert (client.received, client.closed, throttles(bench)) == (b"123", None, 1)
    bench.advance(1.0)
    assert (client.closed, throttles(bench)) == (CloseReason.PEER if ends else None, 0)
    bench.advance(0.75)
    assert client.closed is (CloseReason.PEER if ends else CloseReason.IDLE)


def test_messages_that_wait_behind_a_hook_when_the_client_ends_wait_for_the_time_too(plugin_bench: Bench) -> None:
    class Works(Slow):
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
            await asyncio.sleep(0.5)
            self.note(connection, data)

    # Longer than the silence that is allowed after the client's end.
    bench = plugin_bench(plugin := Works(seconds=8), close_timeout=2)
    client = bench.connect()
    for data in (b"1", b"2", b"3"):
        client.send(data)
    client.end()
    seen: list[object] = []
    for data in (b"1", b"2", b"3"):
        bench.advance(0.5)
        seen.append(data)
        assert plugin.seen[: len(seen)] == seen
        bench.advance(7.75)
        assert plugin.seen == (seen if data != b"3" else [*seen, CloseReason.PEER])
        bench.advance(0.25)
    assert client.received == b"123"


@pytest.mark.parametrize(
    ("calls", "read_at"),
    [
        (["pause", 1, "2 s", "resume"], 2),
        ([1, "pause", "resume"], 1),
        ([1, "pause", "2 s", "resume"], 2),
        ([2, "pause", "1 s", "resume"], 2),
        (["resume", 1, "resume"], 1),
        ([1, 3], 3),
        ([3, 1], 3),
        ([0, -1], 0),
    ],
)
def test_it_does_not_end_a_pause_nor_a_pause_it(plugin_bench: Bench, calls: list[str | int], read_at: int) -> None:
    bench = plugin_bench(plugin := Quiet())
    client = bench.connect()
    waiting(client, b"x")
    left = read_at
    for call in calls:
        match call:
            case "pause" | "resume":
                getattr(client.connection, call)()
            case str():
                bench.advance(int(call[0]))
                left -= int(call[0])
            case seconds:
                client.connection.throttle(seconds)
    if left:
        bench.advance(left - 0.1)
        assert plugin.seen == []
    bench.advance(0.1)
    assert plugin.seen == [b"x"]


@pytest.mark.parametrize(
    ("seconds", "error", "message"),
    [("1", TypeError, "seconds must be a number, not '1'"), (float("inf"), ValueError, "seconds must be finite")],
)
def test_a_wrong_time_is_refused(plugin_bench: Bench, seconds: Any, error: type[Exception], message: str) -> None:
    bench = plugin_bench(Quiet())
    client = bench.connect()
    with pytest.raises(error, match=message):
        client.connection.throttle(seconds)
    assert throttles(bench) == 0


def test_it_is_not_idle_and_has_all_its_time_afterwards(plugin_bench: Bench) -> None:
    bench = plugin_bench(Quiet(), idle_timeout=10)
    client = bench.connect()
    client.connection.throttle(95)
    bench.advance(104.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.IDLE


def test_the_time_of_an_incomplete_message_begins_anew(plugin_bench: Bench) -> None:
    bench = plugin_bench(Quiet(framed=True), message_timeout=2)
    client = bench.connect()
    client.send(b"half")
    client.connection.throttle(10)
    bench.advance(11.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.TIMEOUT


# Ends


@pytest.mark.parametrize("end", ["close", "abort", "shutdown"])
@pytest.mark.parametrize("kind", [Slow, SlowAsync])
def test_a_throttled_client_that_the_host_closes_ends_at_once(plugin_bench: Bench, kind: type[Slow], end: str) -> None:
    bench = plugin_bench(plugin := kind(seconds=30))
    client = bench.connect()
    for data in (b"1", b"2"):
        client.send(data)
    bench.settle()
    if end == "shutdown":
        client._transport.close_for(CloseReason.SHUTDOWN, 5.0)
    else:
        getattr(client.connection, end)()
    bench.settle()
    reason = CloseReason.SHUTDOWN if end == "shutdown" else CloseReason.LOCAL
    assert (plugin.seen, client.closed, throttles(bench)) == ([b"1", reason], reason, 0)
    bench.advance(60)
    assert plugin.seen == [b"1", reason]


def test_a_client_that_is_closed_by_a_hook_cannot_be_throttled_any_more(plugin_bench: Bench) -> None:
    bench = plugin_bench(Quiet())
    client = bench.connect(ends_too=False)
    client.connection.close()
    client.connection.throttle(5)
    assert throttles(bench) == 0
    client.end()
    assert client.closed is CloseReason.LOCAL


@pytest.mark.parametrize("how", [HangUp.ORDERLY, HangUp.BROKEN])
@pytest.mark.parametrize("unread", [[], [b"2", b"3"]], ids=["nothing", "messages"])
def test_a_throttled_client_that_hangs_up_ends_when_what_it_has_sent_was_delivered(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch, unread: list[bytes], how: HangUp
) -> None:
    bench = plugin_bench(plugin := Slow(seconds=5))
    client = bench.connect()
    client.send(b"1")
    waiting(client, *unread, b"" if how is HangUp.ORDERLY else ConnectionResetError())
    hang_up(client, monkeypatch, how)
    assert (client.closed is None) == bool(unread)
    bench.advance(4.9)
    assert plugin.seen[:2] == [b"1", *([] if unread else [CloseReason.PEER])]
    # Not a second longer than the last message has to wait.
    bench.advance(5.2)
    assert plugin.seen == [b"1", *unread, CloseReason.PEER]
    assert throttles(bench) == 0


def test_a_pause_beside_it_limits_the_wait_of_a_client_that_was_reset(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = plugin_bench(plugin := Slow(seconds=5))
    client = bench.connect()
    client.send(b"1")
    waiting(client, b"2", ConnectionResetError())
    hang_up(client, monkeypatch, HangUp.BROKEN)
    client.connection.pause()
    bench.advance(1)
    assert plugin.seen == [b"1", CloseReason.PEER]


def test_the_wait_of_a_client_that_was_reset_is_over_when_it_is_resumed(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = plugin_bench(plugin := Slow(seconds=5))
    client = bench.connect()
    client.connection.pause()
    waiting(client, b"1", b"2", ConnectionResetError())
    hang_up(client, monkeypatch, HangUp.BROKEN)
    client.connection.resume()
    bench.advance(4.9)
    assert plugin.seen == [b"1"]
    bench.advance(0.2)
    assert plugin.seen == [b"1", b"2", CloseReason.PEER]


def test_a_send_to_a_throttled_client_that_fails_ends_it(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = plugin_bench(plugin := Slow(seconds=5))
    client = bench.connect()
    client.send(b"1")
    monkeypatch.setattr(FakeSocket, "send", lambda *_: (_ for _ in ()).throw(BrokenPipeError()))
    waiting(client, ConnectionResetError())
    assert not client.connection.send(b"are you there?")
    bench.settle()
    assert plugin.seen == [b"1", CloseReason.PEER]


@pytest.mark.parametrize("unread", [[], [b"second"]])
def test_what_was_read_of_a_client_in_the_turn_of_its_throttle_is_delivered_later(
    plugin_bench: Bench, unread: list[bytes]
) -> None:
    class Boss(Quiet):
        other: Connection

        def note(self, connection: Connection, data: bytes) -> None:
            super().note(connection, data)
            if data == b"go":
                self.other.throttle(5)
                self.other.send(b"x")

    bench = plugin_bench(plugin := Boss())
    one, two = bench.connect(), bench.connect()
    plugin.other = two.connection
    # Both are read in one turn, and the send to the second one fails.
    waiting(two, b"first", *unread, ConnectionResetError())
    one.send(b"go")
    bench.advance(4.9)
    assert (plugin.seen, two.closed) == ([b"go"], None)
    bench.advance(0.2)
    assert plugin.seen == [b"go", b"first", *unread, CloseReason.PEER]


def test_a_client_that_has_ended_is_not_kept_by_it(plugin_bench: Bench) -> None:
    class Late(Quiet):
        @hookimpl
        def eof(self, connection: Connection) -> bool:
            connection.send(b"bye")
            connection.throttle(5)
            return False

    bench = plugin_bench(Late())
    client = bench.connect()
    client.end()
    assert (client.received, client.closed, throttles(bench)) == (b"bye", CloseReason.PEER, 0)


# Beside the rest


def test_it_counts_from_connect_on(plugin_bench: Bench) -> None:
    class Later(Quiet):
        @hookimpl
        def connect(self, connection: Connection) -> None:
            connection.send(b"hello")
            connection.throttle(3)

    bench = plugin_bench(plugin := Later())
    client = bench.connect()
    client.send(b"x")
    bench.advance(2.9)
    assert (client.received, plugin.seen) == (b"hello", [])
    bench.advance(0.2)
    assert plugin.seen == [b"x"]


def test_an_async_drain_runs_meanwhile(plugin_bench: Bench) -> None:
    class Drained(SlowAsync):
        @hookimpl
        async def drain(self) -> None:
            self.seen.append("drain")

    bench = plugin_bench(plugin := Drained())
    client = bench.connect()
    client.send(b"1")
    client.send(b"2")
    bench.drain()
    assert plugin.seen == [b"1", "drain"]
    bench.advance(1)
    assert plugin.seen == [b"1", "drain", b"2"]


def test_a_handshake_of_tls_runs_meanwhile(plugin_bench: Bench) -> None:
    class Mail(Quiet):
        def note(self, connection: Connection, data: bytes) -> None:
            super().note(connection, data)
            if data == b"STARTTLS":
                connection.start_tls(SERVER)
                connection.throttle(3)

    bench = with_real_tls(plugin_bench(plugin := Mail(framed=True)))
    client = bench.connect()
    client.send(b"STARTTLS\n")
    peer = TlsPeer(client)
    peer.shake_hands()
    peer.send(b"1\n2\n")
    bench.advance(2.9)
    assert plugin.seen == [b"STARTTLS"]
    bench.advance(0.2)
    assert plugin.seen == [b"STARTTLS", b"1", b"2"]


def test_a_datagram_is_not_throttled(plugin_bench: Bench) -> None:
    bench = plugin_bench(Slow(seconds=60))
    assert [bench.datagram(b"x") for _ in range(2)] == [[b"x"], [b"x"]]
    assert throttles(bench) == 0
    with pytest.raises(ValueError, match="finite"):
        plugin_bench(Slow(seconds=float("nan"))).datagram(b"x")
