"""A framing that speaks to the peer by itself: its handshake, its answers and its end, on the bench."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, hookimpl
from reactorhost.testing import PluginBench
from reactorhost.testing.bench_client import BenchClient

Bench = Callable[..., PluginBench]

EXAMPLE = str(Path(__file__).parents[4] / "docs" / "examples" / "framing_session.py")
FRAMING = "hello"
GREETING = b"HELLO ann\n"


@pytest.fixture
def bench(plugin_bench: Bench) -> Bench:
    """Return a bench that has the example of the guide, which brings the framing, behind other plugins."""
    return lambda *plugins, **settings: plugin_bench(*plugins, EXAMPLE, **{"framing": FRAMING, **settings})


def hello(connection: Connection) -> Any:
    """Return the session of a connection."""
    return connection.framing


def test_messages_come_after_the_handshake_and_are_answered_as_messages(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    assert client.received == b"HELLO\n"
    assert hello(client.connection).name == "ann"
    client.send(b"on")
    client.send(b"e\ntwo\n")
    assert client.received == b"HELLO\nONE\nTWO\n"


def test_what_came_behind_the_handshake_is_delivered_after_connect(bench: Bench) -> None:
    seen: list[object] = []

    class Watcher:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            seen.append("connect")

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            seen.append(data)

    client = bench(Watcher()).connect(opening=GREETING + b"one\nPING\ntwo\nthr")
    client.send(b"ee\n")
    assert seen == ["connect", b"one", b"two", b"three"]
    assert client.received == b"HELLO\nONE\nTWO\nPONG\nTHREE\n"
    assert client.connection.bytes_in == len(GREETING + b"one\nPING\ntwo\nthree\n")


def test_a_handshake_may_arrive_in_pieces(bench: Bench) -> None:
    client = bench().connect()
    for byte in GREETING[:-1]:
        client.send(bytes([byte]))
        with pytest.raises(ConnectionError, match="not complete"):
            _ = client.connection
    client.send(b"\none\n")
    assert client.received == b"HELLO\nONE\n"


@pytest.mark.parametrize("method", ["send", "send_message"])
def test_what_connect_sends_follows_the_answer_to_the_handshake(bench: Bench, method: str) -> None:
    class Greeter:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            assert getattr(connection, method)(b"welcome")

    assert bench(Greeter()).connect(opening=GREETING).received == b"HELLO\nwelcome\n"


def test_connect_may_refuse_the_client(bench: Bench) -> None:
    client = bench().connect(opening=b"HELLO root\none\n")
    assert client.received == b"SORRY local\n"
    assert client.eof
    assert client.closed is CloseReason.LOCAL


def test_a_violation_of_the_handshake_is_answered_and_not_served(bench: Bench) -> None:
    client = bench().connect(opening=b"GET / HTTP/1.1\n")
    assert client.received == b"SORRY say HELLO and your name\n"
    assert client.eof
    client.end()
    with pytest.raises(ConnectionError, match="refused"):
        _ = client.connection


def test_control_messages_are_answered_by_the_framing_alone(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    client.send(b"PING\n")
    assert client.received == b"HELLO\nPONG\n"


def test_the_peer_ends_the_session(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    client.send(b"one\nBYE\n")
    assert client.received == b"HELLO\nONE\nBYE\n"
    assert client.closed is CloseReason.PEER


def test_a_handshake_and_an_end_in_one_piece(bench: Bench) -> None:
    client = bench().connect(opening=GREETING + b"one\nBYE\n")
    assert client.received == b"HELLO\nONE\nBYE\n"
    assert client.closed is CloseReason.PEER


@pytest.mark.parametrize(
    ("end", "word", "reason"),
    [
        (lambda bench, client: client.connection.close(), b"local", CloseReason.LOCAL),
        (lambda bench, client: bench.advance(60), b"idle", CloseReason.IDLE),
        (lambda bench, client: bench.stop(), b"shutdown", CloseReason.SHUTDOWN),
        (lambda bench, client: client.send(b"x" * 9000), b"framing", CloseReason.FRAMING),
    ],
    ids=["close", "idle", "stop", "violation"],
)
def test_the_framing_has_the_last_word(
    bench: Bench, end: Callable[[PluginBench, BenchClient], object], word: bytes, reason: CloseReason
) -> None:
    made = bench(idle_timeout=60)
    client = made.connect(opening=GREETING)
    end(made, client)
    made._time.run(0.0)
    assert client.received == b"HELLO\nBYE " + word + b"\n"
    assert client.eof
    assert client.closed is reason
