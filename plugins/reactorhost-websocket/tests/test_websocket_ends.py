"""Pings, and how connections end when time passes or the worker leaves; on the bench."""

from __future__ import annotations

import asyncio

import pytest

import reactorhost_echo
from reactorhost import CloseReason, Connection, hookimpl
from reactorhost_chat import Chat
from reactorhost_websocket import Ping, Text, hooks
from websocket_bench import Bench, Browser, Speaker, closed, table
from websocket_frames import PING, PONG, TEXT, Sent, frame


def test_a_client_that_a_plugin_has_paused_is_not_closed(plugin_bench: Bench) -> None:
    def receive(connection: Connection, _data: bytes) -> None:
        connection.pause()
        connection.call_later(100, connection.resume)

    browser = Browser(plugin_bench(hooks, Speaker(receive=receive), framing=table(ping_interval=5, ping_timeout=5)))
    browser.client.send(frame(TEXT, b"x"))
    browser.bench.advance(99)
    assert {each.opcode for each in browser.shown} == {PING}
    browser.bench.advance(20)
    assert browser.shown[-1] == closed(1011, "no answer to a ping")


def test_a_client_is_pinged_as_long_as_it_answers(plugin_bench: Bench) -> None:
    bench = plugin_bench(hooks, reactorhost_echo, framing=table(ping_interval=30, ping_timeout=10))
    browser = Browser(bench)
    for _ in range(3):
        bench.advance(29.9)
        assert browser.shown == []
        bench.advance(0.1)
        assert browser.shown == [Sent(PING, b"")]
        browser.client.send(frame(PONG))
    bench.advance(30)
    assert browser.shown == [Sent(PING, b"")]
    bench.advance(9.9)
    assert browser.shown == []
    bench.advance(0.1)
    assert browser.shown == [closed(1011, "no answer to a ping")]


def test_progress_with_what_is_queued_is_an_answer(plugin_bench: Bench) -> None:
    speaker = Speaker()
    bench = plugin_bench(hooks, speaker, framing=table(ping_interval=5, ping_timeout=5))
    browser = Browser(bench)
    browser.client.pause()
    browser.client.connection.send(bytes(3_000_000))
    bench.advance(5)
    # It reads something, and stops again.
    browser.client.resume()
    browser.client.pause()
    assert browser.client.connection.queued == 0
    browser.client.connection.send(bytes(3_000_000))
    bench.advance(5)
    assert browser.client.connection.queued > 0
    assert browser.client.closed is None
    bench.advance(10)
    browser.client.resume()
    assert browser.shown[-1] == closed(1011, "no answer to a ping")


def test_a_client_is_not_closed_while_a_hook_works_for_it(plugin_bench: Bench) -> None:
    class Slow:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(100)
            connection.send(data)

    bench = plugin_bench(hooks, Slow, framing=table(ping_interval=5, ping_timeout=5))
    browser = Browser(bench)
    browser.client.send(frame(TEXT, b"1"))
    # It waits, and what follows is not read.
    browser.client.send(frame(TEXT, b"2"))
    bench.advance(150)
    assert [each for each in browser.shown if each.opcode != PING] == [Sent(TEXT, b"1")]
    bench.advance(60)
    assert [each for each in browser.shown if each.opcode != PING] == [
        Sent(TEXT, b"2"),
        closed(1011, "no answer to a ping"),
    ]


@pytest.mark.parametrize(
    ("parameters", "seconds", "pings"), [({"ping_interval": 0}, 1000, 0), ({"ping_timeout": 0}, 100, 5)]
)
def test_pings_and_their_deadline_can_be_off(
    plugin_bench: Bench, parameters: dict[str, object], seconds: float, pings: int
) -> None:
    bench = plugin_bench(hooks, reactorhost_echo, framing=table(**parameters))
    browser = Browser(bench)
    bench.advance(seconds)
    assert browser.shown == [Sent(PING, b"")] * pings
    assert browser.client.closed is None


def test_a_plugin_pings_too(plugin_bench: Bench) -> None:
    speaker = Speaker(receive=lambda connection, data: connection.send(Ping(data)))
    assert Browser(plugin_bench(hooks, speaker)).sends(frame(TEXT, b"x")) == [Sent(PING, b"x")]


def test_a_worker_that_leaves_closes_with_1012_after_the_other_plugins(plugin_bench: Bench) -> None:
    class Polite:
        @hookimpl
        async def drain(self, connection: Connection) -> None:
            await asyncio.sleep(0)
            connection.send(Text(b"see you"))

    bench = plugin_bench(hooks, Polite)
    browser = Browser(bench)
    bench.drain()
    assert browser.shown == [Sent(TEXT, b"see you"), closed(1012, "restart")]
    assert browser.client.eof


def test_a_plugin_that_closes_by_itself_when_the_worker_leaves_sends_1012_too(plugin_bench: Bench) -> None:
    bench = plugin_bench(Chat, hooks)
    browser = Browser(bench)
    assert browser.texts
    bench.drain()
    assert browser.shown == [Sent(TEXT, b"* The server restarts. Please connect again."), closed(1012, "restart")]


def test_an_idle_client_is_closed_with_1001(plugin_bench: Bench) -> None:
    bench = plugin_bench(hooks, reactorhost_echo, framing=table(ping_interval=0), idle_timeout=60)
    browser = Browser(bench)
    bench.advance(61)
    assert browser.shown == [closed(1001, "idle")]
    assert browser.client.closed is CloseReason.IDLE


@pytest.mark.parametrize(
    ("part", "later"),
    [
        (frame(TEXT, b"hello")[:-2], b"l"),
        # A control message is not the rest of it.
        (frame(TEXT, b"hel", fin=False), frame(PING, b"")),
    ],
    ids=["frame", "message"],
)
@pytest.mark.parametrize("with_request", [False, True])
def test_a_message_that_is_not_complete_in_time_ends_the_connection(
    plugin_bench: Bench, part: bytes, later: bytes, with_request: bool
) -> None:
    bench = plugin_bench(hooks, reactorhost_echo, framing=table(ping_interval=0), message_timeout=10)
    browser = Browser(bench, behind=part if with_request else b"")
    if not with_request:
        bench.advance(60)
        browser.sends(frame(TEXT, b"whole") + frame(PING, b""))
        bench.advance(60)
        browser.sends(part)
    bench.advance(9)
    browser.sends(later)
    assert not browser.shown
    bench.advance(1)
    assert browser.client.closed is CloseReason.TIMEOUT
