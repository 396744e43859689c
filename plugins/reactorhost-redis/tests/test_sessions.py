"""Login, health, reconnects, refusals and bounds, on a server in memory and a clock that a test moves."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from reactorhost.bus import Backend, BackendState, Keep
from reactorhost.testing import PluginBench
from reactorhost_redis import session as sessions
from reactorhost_redis import subscriber
from recorded_link import RecordedLink
from redis_networks import FakeNetwork, Plugin


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    # The times between two attempts without chance.
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    with PluginBench(Plugin) as bench:
        yield FakeNetwork(bench)


def connected(network: FakeNetwork, url: str | None = None) -> tuple[Backend, RecordedLink]:
    backend, link = network.join(url)
    network.server.settle()
    return backend, link


def is_up(link: RecordedLink) -> bool:
    return link.state is BackendState.UP


def is_down(link: RecordedLink) -> bool:
    return link.state is BackendState.DOWN


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# Login.


@pytest.mark.parametrize(
    ("url", "login", "selects"),
    [
        ("redis://redis", [], False),
        ("redis://:pw@redis/0", [b"AUTH", b"default", b"pw"], False),
        ("redis://u:pw@redis/3", [b"AUTH", b"u", b"pw"], True),
    ],
)
def test_a_connection_logs_in_with_resp3_and_a_name(
    url: str, login: list[bytes], selects: bool, network: FakeNetwork
) -> None:
    _, link = connected(network, url)
    assert is_up(link)
    hellos = network.server.verbs("HELLO")
    assert [words[:-1] for words in hellos] == [[b"HELLO", b"3", *login, b"SETNAME"]] * 2
    assert all(words[-1].startswith(b"reactorhost-0-") for words in hellos)
    assert network.server.verbs("SELECT") == ([[b"SELECT", b"3"]] * 2 if selects else [])


def test_names_have_prefix_and_database(network: FakeNetwork) -> None:
    backend, link = connected(network, "redis://redis/3?prefix=app")
    backend.subscribe("t:*")
    backend.publish("t:a", b"1", Keep(5, 1.5))
    network.server.settle()
    assert network.server.verbs("PSUBSCRIBE", "PUBLISH", "XADD", "PEXPIRE") == [
        [b"PSUBSCRIBE", b"app@3:t:*"],
        [b"XADD", b"app:kept:t:a", b"MAXLEN", b"~", b"5", b"*", b"d", b"1"],
        [b"PEXPIRE", b"app:kept:t:a", b"1500"],
        [b"PUBLISH", b"app@3:t:a", b"1"],
    ]
    assert link.messages == [("t:a", b"1")]


@pytest.mark.parametrize(
    ("verb", "error", "sentence", "lasts"),
    [
        ("HELLO", "WRONGPASS invalid username-password pair or user is disabled.", "password is wrong", True),
        ("HELLO", "NOAUTH HELLO must be called with the client already authenticated", "requires a password", True),
        ("HELLO", "NOPROTO unsupported protocol version", "RESP3", True),
        ("HELLO", "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'pw'", "Redis 6.0", True),
        ("HELLO", "ERR AUTH <password> called without any password configured", "has no password", True),
        ("SELECT", "ERR DB index is out of range", "does not have the database", True),
        ("PING", "LOADING Redis is loading the dataset in memory", "still loading", False),
        ("PING", "MASTERDOWN Link with MASTER is down", "lost its master", False),
        ("SUBSCRIBE", "NOPERM No permissions to access a channel", "may not run a command", True),
        ("HELLO", "ERR strange, your password pw", r"refused a command: ERR strange, your password \*\*\*", False),
    ],
)
def test_a_refusal_is_one_sentence_in_log_and_state_without_the_password(
    verb: str, error: str, sentence: str, lasts: bool, network: FakeNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    network.server.errors[verb] = error
    backend, link = network.join("redis://u:pw@redis/1")
    backend.subscribe("t:a")
    network.server.settle()
    assert is_down(link)
    assert re.search(sentence, link.reason)
    assert "pw" not in link.reason
    (line,) = lines(caplog)
    assert line == f"Redis: {link.reason}"
    # One that lasts is tried again as slowly as may be.
    tries = len(network.server.verbs("HELLO"))
    network.server.advance(9)
    assert (len(network.server.verbs("HELLO")) > tries) == (not lasts)
    network.server.errors.clear()
    network.server.advance(12)
    assert is_up(link)
    assert len(lines(caplog)) == 1


def test_a_refusal_that_goes_on_is_logged_once_a_minute_with_a_count(
    network: FakeNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    network.server.errors["HELLO"] = "WRONGPASS"
    network.join("redis://:pw@redis?retry=1")
    network.server.advance(65, 0.5)
    first, second = lines(caplog)
    assert "more since" not in first
    assert "more since the last line)" in second


def test_an_error_without_a_command_is_why_the_server_disconnects(network: FakeNetwork) -> None:
    network.server.answers = False
    _, link = connected(network)
    network.server.settle()
    for far_end in network.bench.outbound:
        far_end.send(b"-ERR max number of clients reached\r\n")
    network.server.settle()
    assert link.reason == "the server has reached maxclients"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak the protocol"),
        (b"+OK\r\n" * 9, "not requested|protocol"),
    ],
)
def test_another_kind_of_server_is_left_alone(reply: bytes, reason: str, network: FakeNetwork) -> None:
    _, link = connected(network)
    with suppress(ConnectionError):
        network.server.say(reply)
    network.server.settle()
    assert is_down(link)
    assert re.search(reason, link.reason)
    network.server.commands.clear()
    network.server.advance(9)
    assert network.server.verbs("HELLO") == []


# Health.


def test_a_server_that_is_silent_is_noticed_and_left(network: FakeNetwork) -> None:
    _, link = connected(network, "redis://redis?timeout=4")
    network.server.answers = False
    network.server.advance(3.9)
    assert is_up(link)
    network.server.advance(2.3)
    assert link.states[-1] == (BackendState.DOWN, "the server does not answer within 4 s")
    network.server.answers = True
    network.server.advance(5)
    assert is_up(link)


def test_a_server_that_accepts_and_says_nothing_is_noticed(network: FakeNetwork) -> None:
    network.server.answers = False
    _, link = connected(network, "redis://redis?timeout=4")
    network.server.advance(7)
    assert link.states[-1] == (BackendState.DOWN, "the server does not answer within 4 s")


def test_an_idle_connection_is_asked_now_and_then(network: FakeNetwork) -> None:
    _, link = connected(network, "redis://redis?timeout=4")
    network.server.commands.clear()
    network.server.advance(60)
    assert is_up(link)
    assert network.server.commands == [[b"PING"]] * 60


# Reconnects.


def test_attempts_are_farther_and_farther_apart(network: FakeNetwork) -> None:
    network.cut()
    _, link = connected(network, "redis://redis?retry=2")
    assert link.states[-1] == (BackendState.DOWN, "connection refused")
    attempts: list[float] = []
    now = network.bench.worker.now
    started = now()
    real = type(network.bench.worker).connect

    def connect(*args: object, **kwargs: object) -> object:
        attempts.append(round(now() - started, 1))
        return real(*args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(network.bench.worker), "connect", connect)
        network.server.advance(8, 0.1)
    # Each of the two connections.
    assert attempts == pytest.approx([0.1, 0.3, 0.7, 1.5, 3.1, 5.1, 7.1], abs=0.11)


def test_after_a_short_life_the_next_attempt_is_not_hurried(network: FakeNetwork) -> None:
    _, link = connected(network)
    for _ in range(6):
        network.server.cut()
        network.server.advance(4)
        assert is_up(link)
    network.server.cut()
    network.server.advance(1)
    # 0.1 s doubled six times.
    assert is_down(link)
    network.server.advance(14)
    network.server.cut()
    network.server.advance(0.3)
    assert is_up(link)


def test_only_the_connection_that_broke_is_made_again(network: FakeNetwork) -> None:
    backend, link = connected(network)
    backend.subscribe("t:a")
    network.server.settle()
    network.bench.outbound[0].reset()
    network.server.settle()
    assert is_down(link)
    network.server.advance(1)
    assert is_up(link)
    assert len(network.bench.outbound) == 3
    assert len(network.server.verbs("SUBSCRIBE")) == 1


def test_when_the_worker_exits_nothing_is_connected_again(network: FakeNetwork) -> None:
    backend, link = connected(network)
    states = list(link.states)
    backend.publish("t:a", b"last words", None)
    # As a worker does before it closes its connections: what waits for the end of the turn waits no more.
    network.bench._parts.facades.cancel_calls()
    network.bench.stop()
    network.server._serve()
    assert network.server.verbs("PUBLISH") == [[b"PUBLISH", b"reactorhost:t:a", b"last words"]]
    assert link.states == states
    assert not backend.publish("t:a", b"too late", None)


# Subscriptions.


def test_subscriptions_are_sent_once_a_turn_in_chunks(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "CHUNK_NAMES", 3)
    monkeypatch.setattr(subscriber, "MOST_UNCONFIRMED", 6)
    backend, link = connected(network)
    network.server.held.add(b"SUBSCRIBE")
    for number in range(20):
        backend.subscribe(f"t:{number}")
    network.server.settle()
    waiting = [words for each in network.server._sessions for words in each.waiting]
    # As many as may be unconfirmed, and no more.
    assert [len(words) - 1 for words in waiting] == [3, 3]
    network.server.held.clear()
    network.server.settle()
    assert [len(words) - 1 for words in network.server.verbs("SUBSCRIBE")] == [3] * 6 + [2]
    network.server.commands.clear()
    network.server.held.add(b"SUBSCRIBE")
    network.server.cut()
    network.server.advance(0.3)
    assert is_down(link)
    network.server.held.clear()
    network.server.settle()
    assert is_up(link)
    assert sum(len(words) - 1 for words in network.server.verbs("SUBSCRIBE")) == 20


def test_a_key_that_a_pattern_takes_over_is_never_without_a_subscription(network: FakeNetwork) -> None:
    backend, _ = connected(network)
    backend.subscribe("t:ab")
    network.server.settle()
    network.server.commands.clear()
    backend.unsubscribe("t:ab")
    backend.subscribe("t:a*")
    network.server.settle()
    assert network.server.commands == [[b"PSUBSCRIBE", b"reactorhost:t:a*"], [b"UNSUBSCRIBE", b"reactorhost:t:ab"]]


def test_what_is_published_waits_for_the_subscriptions_before_it(network: FakeNetwork) -> None:
    backend, link = connected(network)
    network.server.held.add(b"SUBSCRIBE")
    backend.publish("t:1", b"", None)
    backend.subscribe("t:answer")
    backend.publish("t:2", b"", None)
    found: list[object] = []
    backend.stored("t:2", 1, found.append)
    network.server.settle()
    assert [words[1] for words in network.server.verbs("PUBLISH", "XREVRANGE")] == [b"reactorhost:t:1"]
    network.server.held.clear()
    network.server.settle()
    assert [words[0] for words in network.server.verbs("PUBLISH", "XREVRANGE")] == [
        b"PUBLISH",
        b"PUBLISH",
        b"XREVRANGE",
    ]
    assert found == [[]]
    # A connection that breaks holds nothing up.
    network.server.held.add(b"SUBSCRIBE")
    backend.subscribe("t:more")
    backend.publish("t:3", b"", None)
    network.server.settle()
    network.bench.outbound[1].reset()
    network.server.settle()
    assert network.server.verbs("PUBLISH")[-1][1] == b"reactorhost:t:3"
    assert link.losses == []


def test_a_channel_that_is_no_text_is_ignored(network: FakeNetwork) -> None:
    backend, link = connected(network)
    backend.subscribe("t:*")
    network.server.settle()
    network.bench.outbound[1].send(
        b">4\r\n$8\r\npmessage\r\n$15\r\nreactorhost:t:*\r\n$15\r\nreactorhost:t:\xff\r\n$1\r\nx\r\n"
    )
    network.server.settle()
    assert link.messages == []
    assert is_up(link)


# Publishing.


def test_the_bytes_that_are_not_answered_are_bounded(network: FakeNetwork) -> None:
    backend, link = connected(network, "redis://redis?max_queue=10000")
    network.server.answers = False
    results = [backend.publish("t:a", bytes(1000), None) for _ in range(20)]
    network.server.settle()
    assert results == [True] * 9 + [False] * 11
    network.server.answers = True
    network.server.settle()
    assert len(network.server.verbs("PUBLISH")) == 9
    # One that is longer than the bound goes alone.
    assert backend.publish("t:a", bytes(20_000), None)
    assert not backend.publish("t:a", b"", None)
    network.server.settle()
    assert backend.publish("t:a", b"", None)
    assert link.losses == []


@pytest.mark.parametrize(
    ("verb", "error", "sentence"),
    [
        ("XADD", "OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
        ("XADD", "READONLY You can't write against a read only replica.", "read-only replica"),
        ("XADD", "MOVED 3999 127.0.0.1:6381", "Redis Cluster"),
        ("XADD", "MISCONF Redis is configured to save RDB snapshots", "cannot write to its disk"),
        ("XADD", "WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE Operation"),
        ("PUBLISH", "NOPERM No permissions", "may not run a command"),
        ("PUBLISH", "LOADING Redis is loading", "still loading"),
        ("PUBLISH", "NOSCRIPT No matching script", "a script"),
        ("PUBLISH", "BUSY Redis is busy running a script", "runs a script"),
        ("PUBLISH", "CLUSTERDOWN Hash slot not served", "Cluster that is down"),
    ],
)
def test_what_the_server_refuses_is_counted_and_logged_once(
    verb: str, error: str, sentence: str, network: FakeNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    backend, link = connected(network)
    network.server.errors[verb] = error
    for _ in range(3):
        assert backend.publish("g:a", b"", Keep(5))
    network.server.settle()
    assert {keys for keys, _ in link.losses} == {("g:a",)}
    assert sum(count for _, count in link.losses) == 3
    assert is_up(link)
    (line,) = lines(caplog)
    assert sentence in line


def test_what_is_not_answered_when_the_connection_breaks_is_lost(network: FakeNetwork) -> None:
    backend, link = connected(network)
    network.server.answers = False
    backend.publish("t:a", b"", None)
    backend.publish("t:b", b"", Keep(5))
    found: list[object] = []
    backend.stored("t:a", 5, found.append)
    network.server.settle()
    network.server.cut()
    network.server.settle()
    assert link.losses == [(("t:a", "t:b"), 2)]
    assert found == [None]


def test_stored_payloads_that_cannot_be_read_are_none(network: FakeNetwork, caplog: pytest.LogCaptureFixture) -> None:
    backend, _ = connected(network)
    network.server.errors["XREVRANGE"] = "WRONGTYPE Operation against a key holding the wrong kind of value"
    found: list[object] = []
    backend.stored("t:a", 5, found.append)
    network.server.settle()
    assert found == [None]
    assert len(lines(caplog)) == 1


def test_an_answer_that_is_too_long_breaks_the_connection(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_ANSWER_BYTES", 1000)
    _, link = connected(network)
    network.bench.outbound[1].send(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5000\r\n" + bytes(2000))
    network.server.settle()
    assert link.states[-1] == (BackendState.DOWN, "an answer of the server is too long")


def test_before_the_login_is_answered_a_short_one_is_too_long(network: FakeNetwork) -> None:
    network.server.answers = False
    _, link = connected(network)
    network.bench.outbound[0].send(b"$99000000\r\n" + bytes(sessions.MOST_LOGIN_BYTES))
    network.server.settle()
    assert link.states[-1] == (BackendState.DOWN, "an answer of the server is too long")


# Two connections.


def test_messages_that_arrive_before_up_are_delivered_after_it(network: FakeNetwork) -> None:
    backend, link = connected(network)
    other, other_link = connected(network)
    for pattern in ("t:a", "t:b*"):
        backend.subscribe(pattern)
    network.server.settle()
    events: list[object] = []
    link.on_received = lambda key, payload: events.append((link.state, payload))
    network.server.cut()
    network.server.settle()
    assert is_down(link)
    network.server.held.add(b"PSUBSCRIBE")
    network.until(lambda: is_up(other_link) and len(network.server.verbs("SUBSCRIBE")) == 2)
    for payload in (b"1", b"2"):
        assert other.publish("t:a", payload, None)
    network.server.settle()
    assert events == []
    network.server.held.clear()
    network.server.settle()
    assert events == [(BackendState.UP, b"1"), (BackendState.UP, b"2")]


def test_what_does_not_fit_before_up_is_dropped_behind_the_rest(network: FakeNetwork) -> None:
    backend, link = connected(network, "redis://redis?max_queue=1024")
    backend.subscribe("t:a")
    network.server.settle()
    network.server.cut()
    network.server.settle()
    network.server.held.add(b"SUBSCRIBE")
    network.until(lambda: len(network.server.verbs("HELLO")) == 4)
    for size in (600, 600):
        network.bench.outbound[-1].send(b">3\r\n$7\r\nmessage\r\n$15\r\nreactorhost:t:a\r\n$%d\r\n" % size)
        network.bench.outbound[-1].send(bytes(size) + b"\r\n")
    network.server.held.clear()
    network.until(lambda: is_up(link))
    assert link.messages == [("t:a", bytes(600))]


def test_what_waits_for_a_subscription_is_sent_when_the_worker_leaves(network: FakeNetwork) -> None:
    backend, _ = connected(network)
    network.server.held.add(b"SUBSCRIBE")
    backend.subscribe("t:new")
    network.server.settle()
    assert backend.publish("p:", b"goodbye", None)
    network.server.settle()
    assert network.server.verbs("PUBLISH") == []
    network.bench.stop()
    network.server.settle()
    assert [words[-1] for words in network.server.verbs("PUBLISH")] == [b"goodbye"]
