"""The lock of the state: of another host, of a killed worker, and with its file removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reactorhost import CloseReason
from reactorhost_redisserver import RedisServer
from reactorhost_redisserver.keyspace import Keyspace
from reactorhost_redisserver.lock import StateLock
from reactorhost_redisserver.ownership import State
from reactorhost_redisserver.snapshot import read_snapshot
from reactorhost_redisserver.storage import Storage
from redis_benches import Pair, Start, ask, starting, wait_for_snapshot

# A process that writes a snapshot is forked; the tests of one process run beside threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def start(plugin_bench: Start, tmp_path: Path) -> Start:
    return starting(plugin_bench, tmp_path / "snapshot")


def test_another_host_does_not_use_the_lock_between_two_workers(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    with monkeypatch.context() as patched:
        patched.setattr(os, "getppid", os.getpid)
        stranger = RedisServer()
        elsewhere = start(stranger)
    pair.old.drain()
    wait_for_snapshot(pair.plugins[0])
    pair.old.advance(0.05)
    assert pair.states == [State.FREE, State.WAITING]
    elsewhere.advance(1.0)
    assert stranger.ownership
    assert stranger.ownership.state is State.WAITING
    pair.new.advance(0.05)
    assert pair.states == [State.FREE, State.OWNED]


@pytest.mark.parametrize(("seconds", "state"), [(9.0, State.WAITING), (11.0, State.OWNED)])
def test_another_host_uses_a_lock_that_stays_free(
    start: Start, monkeypatch: pytest.MonkeyPatch, seconds: float, state: State
) -> None:
    start().stop()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getppid", os.getpid)
        plugin = RedisServer()
        bench = start(plugin)
    assert plugin.ownership
    assert plugin.ownership.state is State.WAITING
    bench.advance(seconds)
    assert plugin.ownership.state is state


@pytest.mark.parametrize(
    "last", [b"", b"%d 1\n" % os.getpid(), b"99999999 1\n"], ids=["unknown", "another process", "no process"]
)
def test_the_lock_of_a_host_that_has_ended_is_used_at_once(start: Start, tmp_path: Path, last: bytes) -> None:
    (tmp_path / "snapshot.lock").write_bytes(last)
    plugin = RedisServer()
    start(plugin)
    assert plugin.ownership
    assert plugin.ownership.state is State.OWNED


def test_the_lock_is_released_although_another_process_has_its_file(start: Start) -> None:
    pair = Pair(start)
    storage = pair.plugins[0].server.saver
    assert isinstance(storage, Storage)
    assert storage.lock._descriptor is not None
    # As in a child that another plugin has forked.
    inherited = os.dup(storage.lock._descriptor)
    pair.old.stop()
    pair.until(State.FREE, State.OWNED)
    os.close(inherited)


def test_a_process_that_writes_keeps_the_lock_of_a_killed_worker(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(start)
    storage = pair.plugins[0].server.saver
    assert isinstance(storage, Storage)
    assert storage.lock._descriptor is not None
    readable, writable = os.pipe()

    def write_when_allowed(*arguments: object) -> None:
        os.read(readable, 1)

    monkeypatch.setattr("reactorhost_redisserver.storage.write_snapshot", write_when_allowed)
    assert storage.save_in_background()
    assert pair.plugins[0].ownership is not None
    pair.plugins[0].ownership.state = State.FREE
    # The kernel closes the files of a process that is killed.
    os.close(storage.lock._descriptor)
    storage.lock._descriptor = None
    pair.new.advance(1.0)
    assert pair.states == [State.FREE, State.WAITING]
    os.write(writable, b"x")
    wait_for_snapshot(pair.plugins[0])
    pair.new.advance(1.0)
    assert pair.states == [State.FREE, State.OWNED]
    os.close(readable)
    os.close(writable)


def test_the_owner_makes_the_file_of_the_lock_again(start: Start, tmp_path: Path) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    lock = tmp_path / "snapshot.lock"
    before = lock.read_bytes()
    lock.unlink()
    # The new worker tries several times before the owner looks after the file.
    pair.new.advance(0.05)
    pair.old.advance(0.1)
    assert lock.read_bytes() == before
    pair.new.advance(2.0)
    assert pair.states == [State.OWNED, State.WAITING]
    pair.old.drain()
    pair.until(State.FREE, State.OWNED)
    assert ask(pair.new.connect(), "GET", "a") == b"$1\r\n1\r\n"


def test_a_worker_that_starts_while_the_file_of_the_lock_is_missing_does_not_fail(start: Start, tmp_path: Path) -> None:
    pair = Pair(start)
    (tmp_path / "snapshot.lock").unlink()
    assert StateLock(pair.old.worker, tmp_path / "snapshot.lock").owner_has_saved() is None


def test_an_owner_whose_lock_was_replaced_gives_up_and_keeps_its_keys_in_another_file(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    ask(client, "SAVE")
    ask(client, "SET", "a", "2")
    (tmp_path / "snapshot.lock").unlink()
    # The loop of the owner does not turn for longer than the new worker waits for it.
    pair.new.advance(2.0)
    assert pair.states == [State.OWNED, State.OWNED]
    assert ask(pair.new.connect(), "GET", "a") == b"$1\r\n1\r\n"
    pair.old.advance(0.1)
    assert client.received.endswith(b"-ERR another process owns the snapshot, see the log of the host\r\n")
    assert client.closed is CloseReason.LOCAL
    assert pair.states == [State.FREE, State.OWNED]
    aside = tmp_path / f"snapshot.{os.getpid()}"
    assert f"the keys of this one are saved as {aside}" in caplog.text
    keyspace = Keyspace()
    list(read_snapshot(aside, keyspace))
    assert keyspace.databases[0].values == {b"a": b"2"}
    assert pair.old.holds == []
