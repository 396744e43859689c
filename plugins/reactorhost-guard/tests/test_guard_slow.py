"""Limits that slow clients down in place of refusing them, in one worker on the bench."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

import reactorhost_echo
import reactorhost_websocket.hooks
from guard_bench import NEIGHBOUR, OTHER, PEER, AsyncEcho, Echo, Protocols, Streams, counted, guarded_echo, refused
from reactorhost import CloseReason, Connection, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost_guard import Guard
from websocket_bench import Browser
from websocket_frames import TEXT, frame

Bench = Callable[..., PluginBench]


@pytest.fixture
def guarded(plugin_bench: Bench) -> Bench:
    return guarded_echo(plugin_bench)


def waiting(client: BenchClient, *items: bytes) -> None:
    """Put into the kernel's queue what the host reads when it reads this client."""
    client._socket.incoming.extend(items)


def served(bench: PluginBench, clients: list[BenchClient], seconds: int) -> list[int]:
    """Return how many bytes the clients have received by the end of each second."""
    counts = []
    for _ in range(seconds):
        bench.advance(1.0)
        counts.append(sum(len(client.received) for client in clients))
    return counts


@pytest.mark.parametrize("handler", [Echo, reactorhost_echo, AsyncEcho, Protocols, Streams])
@pytest.mark.parametrize("guard_first", [True, False])
def test_a_client_above_its_rate_is_read_later_and_loses_nothing(
    plugin_bench: Bench, handler: Any, guard_first: bool
) -> None:
    plugins = (Guard, handler) if guard_first else (handler, Guard)
    bench = plugin_bench(*plugins, options={"Guard": {"messages": "10/s burst 3 slow", "ban_after": 1}})
    client, other = bench.connect(PEER), bench.connect(OTHER)
    waiting(client, *[b"x\n"] * 40)
    bench.settle()
    # The burst, and the message that exceeds it.
    assert client.received == b"x\n" * 4
    other.send(b"y\n")
    assert other.received == b"y\n"
    counts = served(bench, [client], 4)
    assert counts == pytest.approx([2 * 14, 2 * 24, 2 * 34, 2 * 40], abs=4)
    assert (client.received, client.closed) == (b"x\n" * 40, None)
    found = counted(bench)
    assert set(found) == {"slowed_messages"}, "there are no strikes"
    # Each wait is for the message that came too early and for the next one.
    assert 15 <= found["slowed_messages"] <= 20


def test_the_messages_of_one_piece_are_slowed_one_by_one(guarded: Bench) -> None:
    bench = guarded(messages="2/s burst 1 slow")
    client = bench.connect(PEER)
    client.send(b"1\n2\n3\n4\n5\n")
    client.end()
    assert client.received == b"1\n2\n"
    bench.advance(0.9)
    assert client.received == b"1\n2\n"
    bench.advance(0.2)
    assert client.received == b"1\n2\n3\n4\n"
    bench.advance(1.0)
    assert (client.received, client.closed) == (b"1\n2\n3\n4\n5\n", CloseReason.PEER)


def test_bytes_above_the_rate_are_waited_for(guarded: Bench) -> None:
    bench = guarded(bytes="1KiB/s burst 1KiB slow")
    client = bench.connect(PEER)
    waiting(client, b"x" * 1024 + b"\n", b"y" * 2048 + b"\n", b"z\n")
    bench.advance(1.9)
    assert client.received == b"x" * 1024 + b"\n" + b"y" * 2048 + b"\n"
    bench.advance(0.2)
    assert client.received.endswith(b"z\n")
    assert counted(bench) == {"slowed_bytes": 1}


def test_a_large_message_that_comes_too_early_is_waited_for_by_its_size(guarded: Bench) -> None:
    bench = guarded(messages="1/s burst 1 slow", bytes="1KiB/s burst 1KiB slow")
    client = bench.connect(PEER)
    large = b"x" * (20 << 10) + b"\n"
    waiting(client, b"1\n", large, b"z\n")
    bench.advance(18.9)
    assert client.received == b"1\n" + large
    bench.advance(0.2)
    assert client.received == b"1\n" + large + b"z\n"


@pytest.mark.parametrize("limit", ["bytes", "network_bytes"])
def test_a_message_of_any_size_is_waited_for(guarded: Bench, limit: str) -> None:
    bench = guarded(**{limit: "1KiB/s burst 1KiB slow"})
    client = bench.connect(PEER)
    large = b"x" * (20 << 10) + b"\n"
    waiting(client, large, large, b"z\n")
    bench.advance(18.9)
    assert client.received == large, "alone it is later than a message may be"
    bench.advance(0.2)
    assert client.received == large * 2
    bench.advance(18.8)
    assert client.received == large * 2
    bench.advance(2.4)
    assert client.received == large * 2 + b"z\n"
    assert counted(bench) == {f"slowed_{limit}": 2}


def test_a_large_message_within_the_burst_is_not_waited_for(guarded: Bench) -> None:
    bench = guarded(bytes="1KiB/s burst 40KiB slow", messages="1/s burst 5 slow")
    client = bench.connect(PEER)
    large = b"x" * (15 << 10) + b"\n"
    waiting(client, large, large, b"z\n")
    bench.settle()
    assert client.received == large * 2 + b"z\n"
    assert not counted(bench)


def test_a_message_counts_for_both_limits_and_the_longer_wait_counts(guarded: Bench) -> None:
    bench = guarded(messages="1/s burst 1 slow", bytes="1B/s burst 1B slow")
    client = bench.connect(PEER)
    waiting(client, b"1\n", b"22345\n", b"3\n")
    bench.advance(5.9)
    assert client.received == b"1\n22345\n"
    bench.advance(0.2)
    assert client.received.endswith(b"3\n")
    assert counted(bench) == {"slowed_bytes": 1}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"messages": "1/h burst 1 slow 2h", "bytes": "1B/h burst 3B"}, "bytes"),
        ({"messages": "1/h burst 1", "bytes": "1B/h burst 1B slow 2h"}, "messages"),
        ({"messages": "1/h burst 1 slow 2h", "network_messages": "1/h burst 1"}, "network_messages"),
    ],
)
def test_a_limit_that_refuses_still_does(guarded: Bench, limits: dict[str, str], reason: str) -> None:
    bench = guarded(**limits)
    client = bench.connect(PEER)
    client.send(b"abc\n" if reason == "bytes" else b"a\n")
    client.send(b"b\n")
    assert refused(client)
    assert counted(bench)[f"closed_{reason}"] == 1


def test_the_clients_of_an_address_share_its_rate(guarded: Bench) -> None:
    bench = guarded(messages="10/s burst 2 slow 1m")
    clients = [bench.connect(PEER) for _ in range(20)]
    for client in clients:
        waiting(client, *[b"x\n"] * 50)
    bench.settle()
    # Each may be ahead by one.
    assert sum(len(client.received) for client in clients) == 2 * (2 + 20)
    counts = served(bench, clients, 30)
    later = [after - before for before, after in itertools.pairwise(counts[3:])]
    assert sum(later) == pytest.approx(2 * 10 * len(later), abs=2 * 10)
    assert not any(refused(client) for client in clients)


def test_what_would_be_too_late_is_refused_as_without_slow(guarded: Bench) -> None:
    bench = guarded(messages="1/s burst 1 slow 3.5s", ban_after=3)
    clients = [bench.connect(PEER) for _ in range(20)]
    for client in clients[:7]:
        client.send(b"x\n")
    # One, three that wait, and three strikes.
    assert [client.received for client in clients[:5]] == [b"x\n"] * 4 + [b""]
    assert all(refused(client) for client in clients)
    found = counted(bench)
    assert (found["slowed_messages"], found["closed_messages"], found["bans"]) == (3, 3, 1)


def test_a_new_connection_of_an_address_that_is_ahead_waits_too(guarded: Bench) -> None:
    bench = guarded(messages="1/s burst 1 slow", network_bytes="1B/s burst 4B slow 1m")
    first = bench.connect(PEER)
    first.send(b"1\n")
    first.send(b"2\n")
    first.end()
    second, neighbour, other = (bench.connect(peer) for peer in (PEER, NEIGHBOUR, OTHER))
    for client in (second, neighbour, other):
        client.send(b"x\n")
    assert (second.received, neighbour.received, other.received) == (b"", b"x\n", b"x\n")
    bench.advance(2.1)
    assert second.received == b"x\n"
    neighbour.send(b"0123456789\n")
    late = bench.connect(("203.0.113.99", 1))
    late.send(b"y\n")
    assert late.received == b"", "its network is ahead"
    bench.advance(10)
    assert late.received == b"y\n"


def test_a_pause_of_the_handler_lasts(plugin_bench: Bench) -> None:
    class Paused(Echo):
        @hookimpl(trylast=True)
        def receive(self, connection: Connection, data: bytes) -> None:
            super().receive(connection, data)
            if data == b"pause":
                connection.pause()

    bench = plugin_bench(Guard, Paused, options={"Guard": {"messages": "1/s burst 1 slow"}})
    client = bench.connect(PEER)
    client.send(b"1\npause\n3\n")
    bench.advance(60)
    assert client.received == b"1\npause\n"
    client.connection.resume()
    bench.settle()
    assert client.received == b"1\npause\n3\n"


def test_a_banned_client_that_waits_ends_at_once(guarded: Bench) -> None:
    bench = guarded(messages="1/h burst 1 slow 1h", connects="1/h burst 2", ban_after=1)
    slow, other = bench.connect(PEER), bench.connect(PEER)
    slow.send(b"1\n2\n3\n")
    assert refused(bench.connect(PEER))
    assert refused(slow)
    assert refused(other)
    assert slow.received == b"1\n2\n"


def test_datagrams_are_dropped_and_cost_nothing(guarded: Bench) -> None:
    bench = guarded(messages="1/s burst 2 slow")
    assert [len(bench.datagram(b"x", PEER)) for _ in range(5)] == [1, 1, 0, 0, 0]
    bench.advance(1.0)
    assert bench.datagram(b"x", PEER)
    assert counted(bench) == {"dropped_datagrams": 3}


def test_a_dry_run_slows_nothing_and_counts_what_is_above_the_rate(
    guarded: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = guarded(messages="1/s burst 2 slow", dry_run=True)
    client = bench.connect(PEER)
    client.send(b"x\n" * 30)
    assert client.received == b"x\n" * 30
    other = bench.connect(PEER)
    bench.advance(1.0)
    other.send(b"x\n")
    assert other.received == b"x\n"
    assert counted(bench) == {"dry_slowed_messages": 28}
    (line,) = caplog.messages
    assert line == "guard_slowed service=default reason=messages peer=203.0.113.7:4000 dry_run=true"


def test_a_websocket_that_waits_is_not_taken_for_lost(plugin_bench: Bench) -> None:
    plugins = (Guard, reactorhost_websocket.hooks, reactorhost_echo)
    options = {"Guard": {"messages": "1/m burst 1 slow 5m"}}
    framing = {"kind": "websocket", "ping_interval": 5, "ping_timeout": 5}
    bench = plugin_bench(*plugins, options=options, framing=framing)
    browser = Browser(bench)
    browser.client.send(b"".join(frame(TEXT, text) for text in (b"1", b"2", b"3")))
    assert len(browser.shown) == 2
    bench.advance(119)
    assert browser.client.closed is None
    assert not browser.texts
    bench.advance(2)
    assert browser.texts == ["3"]


def test_a_websocket_of_an_address_that_is_ahead_opens_and_waits(plugin_bench: Bench) -> None:
    plugins = (Guard, reactorhost_websocket.hooks, reactorhost_echo)
    bench = plugin_bench(*plugins, options={"Guard": {"messages": "1/s burst 1 slow"}})
    first = Browser(bench)
    first.client.send(frame(TEXT, b"1") + frame(TEXT, b"2"))
    assert first.texts == ["1", "2"]
    second = Browser(bench, behind=frame(TEXT, b"x"))
    assert second.answer.startswith(b"HTTP/1.1 101 ")
    bench.advance(1.9)
    assert not second.texts
    bench.advance(0.2)
    assert second.texts == ["x"]


def test_workers_slow_down_for_what_the_others_have_granted(guarded: Bench) -> None:
    one, two = guarded(messages="1/s burst 2 slow"), guarded(messages="1/s burst 2 slow")
    client = one.connect(PEER)
    client.send(b"1\n2\n3\n")
    one.advance(1.0)
    for topic, data in one.bus.published:
        two.bus.publish(topic, data)
    later = two.connect(PEER)
    later.send(b"x\n")
    assert later.received == b""
    two.advance(1.9)
    assert later.received == b""
    two.advance(0.2)
    assert later.received == b"x\n"


def test_a_message_that_is_waited_for_is_shared_with_the_other_workers(guarded: Bench) -> None:
    bench = guarded(messages="1/m burst 1 slow 5m")
    client = bench.connect(PEER)
    shared = []
    for data in (b"1\n", b"2\n"):
        client.send(data)
        bench.advance(1.0)
        shared.append(len(bench.bus.published))
    assert client.received == b"1\n2\n"
    assert counted(bench) == {"slowed_messages": 1}
    assert shared == [1, 2]


def test_an_async_handler_is_not_cancelled_by_the_wait(plugin_bench: Bench) -> None:
    done: list[bytes] = []

    class Works:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(3)
            done.append(data)

    bench = plugin_bench(Guard, Works, options={"Guard": {"messages": "1/s burst 1 slow"}})
    client = bench.connect(PEER)
    for data in (b"1", b"2", b"3"):
        client.send(data)
    client.end()
    bench.advance(10)
    assert (done, client.closed) == ([b"1", b"2", b"3"], CloseReason.PEER)
