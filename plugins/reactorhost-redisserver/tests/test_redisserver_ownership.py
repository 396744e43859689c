"""Of an old and a new worker on benches one owns the state, and the other one waits for it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from conversations import packed
from reactorhost import CloseReason, Worker
from reactorhost_redisserver import RedisServer
from reactorhost_redisserver.keyspace import Keyspace
from reactorhost_redisserver.ownership import State
from reactorhost_redisserver.snapshot import write_snapshot
from redis_benches import Pair, Start, ask, starting

# A process that writes a snapshot is forked; the tests of one process run beside threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def start(plugin_bench: Start, tmp_path: Path) -> Start:
    return starting(plugin_bench, tmp_path / "snapshot")


def test_a_new_worker_has_the_state_when_the_old_one_drains(start: Start) -> None:
    pair = Pair(start)
    before = pair.old.connect()
    assert ask(before, "SET", "a", "1") == b"+OK\r\n"
    after = pair.new.connect()
    assert ask(after, "GET", "a") == b""
    assert pair.states == [State.OWNED, State.WAITING]
    assert ask(before, "SET", "a", "2") == b"+OK\r\n"
    pair.old.drain()
    assert before.closed is CloseReason.LOCAL
    pair.until(State.FREE, State.OWNED)
    assert after.received == b"$1\r\n2\r\n"


def test_an_old_worker_without_clients_leaves_the_state_on_request(start: Start) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    client.end()
    pair.until(State.FREE, State.OWNED)
    # The figures of all workers are added up.
    assert [(each.stats()["keys"], each.stats()["used_bytes"]) for each in (pair.old, pair.new)] == [(0, 0), (1, 132)]
    back = pair.old.connect()
    back.send(packed([b"GET", b"a"]))
    pair.until(State.OWNED, State.FREE)
    assert back.received == b"$1\r\n1\r\n"


def test_a_client_that_comes_while_the_state_is_left_is_served(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(start)
    readable, writable = os.pipe()

    def write_when_allowed(path: Path, keyspace: Keyspace) -> None:
        os.read(readable, 1)
        write_snapshot(path, keyspace)

    monkeypatch.setattr("reactorhost_redisserver.storage.write_snapshot", write_when_allowed)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    client.end()
    for topic, data in pair.new.bus.published:
        pair.old.bus.publish(topic, data)
    assert pair.states == [State.LEAVING, State.WAITING]
    back = pair.old.connect()
    back.send(packed([b"GET", b"a"]))
    os.write(writable, b"x")
    pair.until(State.OWNED, State.WAITING)
    assert back.received == b"$1\r\n1\r\n"
    os.close(readable)
    os.close(writable)


def test_a_request_for_another_snapshot_is_ignored(start: Start, tmp_path: Path) -> None:
    plugin = RedisServer()
    owner = start(plugin)
    others = [start(file=str(tmp_path / "other")) for _ in range(2)]
    others[1].advance(1.0)
    assert others[1].bus.published
    for topic, data in others[1].bus.published:
        owner.bus.publish(topic, data)
    assert plugin.ownership is not None
    assert plugin.ownership.state is State.OWNED


def test_only_the_first_worker_wants_the_state() -> None:
    plugin = RedisServer()
    plugin.worker_start(cast("Worker", SimpleNamespace(slot=1)))
    assert plugin.ownership is None


def test_an_owner_with_clients_keeps_the_state(start: Start) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    pair.new.advance(5.0)
    for topic, data in pair.new.bus.published:
        pair.old.bus.publish(topic, data)
    assert pair.states == [State.OWNED, State.WAITING]
    assert ask(client, "PING") == b"+PONG\r\n"


def test_a_worker_that_drains_does_not_want_the_state_back(start: Start) -> None:
    plugin = RedisServer()
    bench = start(plugin)
    assert plugin.ownership is not None
    bench.connect()
    bench.drain()
    assert plugin.ownership.state is State.FREE
    bench.connect()
    bench.advance(1.0)
    assert plugin.ownership.state is State.FREE
