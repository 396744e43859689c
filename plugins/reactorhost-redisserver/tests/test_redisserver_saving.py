"""Snapshots of the server on a bench: written, refused by the disk, removed and damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reactorhost import SetupError
from reactorhost_redisserver import RedisServer
from reactorhost_redisserver.keyspace import Keyspace
from reactorhost_redisserver.ownership import State
from redis_benches import Pair, Start, ask, starting, wait_for_snapshot

# A process that writes a snapshot is forked; the tests of one process run beside threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def start(plugin_bench: Start, tmp_path: Path) -> Start:
    return starting(plugin_bench, tmp_path / "snapshot")


def test_a_snapshot_that_cannot_be_written_leaves_no_file(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start().connect()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert ask(client, "SAVE").startswith(b"-ERR")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.lock"]


def test_no_worker_starts_beside_an_owner_that_cannot_save(start: Start, tmp_path: Path) -> None:
    client = start().connect()
    ask(client, "SET", "a", "1")
    (tmp_path / "snapshot.new").mkdir()
    assert ask(client, "SAVE").startswith(b"-ERR")
    with pytest.raises(SetupError, match="would lose them: the last attempt has failed"):
        start()
    (tmp_path / "snapshot.new").rmdir()
    assert ask(client, "SAVE") == b"+OK\r\n"
    start()


def test_no_worker_starts_beside_an_owner_whose_disk_is_full(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start().connect()
    ask(client, "SET", "a", b"x" * 100_000)
    ask(client, "SAVE")
    sizes = os.statvfs_result((4096, 4096, 100, 24, 24, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: sizes)
    with pytest.raises(SetupError, match="beside the old one, and the disk has 98304;"):
        start()


def test_a_snapshot_that_was_removed_meanwhile_is_written_again(start: Start, tmp_path: Path) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    ask(client, "SAVE")
    (tmp_path / "snapshot").unlink()
    pair.old.drain()
    pair.until(State.FREE, State.OWNED)
    assert ask(pair.new.connect(), "GET", "a") == b"$1\r\n1\r\n"


def test_the_state_is_kept_while_it_cannot_be_saved(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    blocked = tmp_path / "snapshot.new"
    blocked.mkdir()
    pair.old.drain()
    with pytest.raises(AssertionError):
        pair.until(State.FREE, State.OWNED)
    assert pair.states == [State.LEAVING, State.WAITING]
    assert pair.old.holds == [f"Is a directory, so the snapshot {tmp_path / 'snapshot'} is not written"]
    # It is tried once a second, and ten seconds have passed.
    assert caplog.text.count("is not written") == 1
    blocked.rmdir()
    pair.until(State.FREE, State.OWNED)
    assert pair.old.holds == []
    after = pair.new.connect()
    assert ask(after, "GET", "a") == b"$1\r\n1\r\n"


def test_a_worker_that_stops_while_it_loads_keeps_the_snapshot(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(start)
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    ask(client, "SET", "b", "2")
    new = pair.plugins[1]
    assert new.ownership is not None

    def read_one_key_and_stop(path: Path, keyspace: Keyspace) -> Iterator[None]:
        keyspace.databases[0].store(b"a", b"1", None)
        yield
        assert new.ownership is not None
        assert new.ownership.state is State.LOADING
        new.ownership.stop()
        raise OSError("it was stopped")

    monkeypatch.setattr("reactorhost_redisserver.storage.read_snapshot", read_one_key_and_stop)
    pair.old.stop()
    before = (tmp_path / "snapshot").read_bytes()
    pair.new.advance(1.0)
    assert new.ownership.state is State.FREE
    assert (tmp_path / "snapshot").read_bytes() == before


def test_a_snapshot_that_is_damaged_meanwhile_is_reported_to_the_clients(start: Start, tmp_path: Path) -> None:
    pair = Pair(start)
    after = pair.new.connect()
    pair.old.stop()
    (tmp_path / "snapshot").write_bytes(b"something else" * 10)
    pair.until(State.FREE, State.FREE)
    assert after.received == b"-ERR the snapshot cannot be read, see the log of the host\r\n"


def test_a_snapshot_is_written_in_the_background(start: Start, tmp_path: Path) -> None:
    plugin = RedisServer()
    bench = start(plugin, save_every=30.0)
    client = bench.connect()
    bench.advance(30.0)
    assert not (tmp_path / "snapshot").exists()
    ask(client, "SET", "a", "1")
    bench.advance(30.0)
    wait_for_snapshot(plugin)
    bench.settle()
    assert b"rdb_bgsave_in_progress:0" in ask(client, "INFO", "persistence")
    assert b"rdb_changes_since_last_save:0" in ask(client, "INFO", "persistence")
    assert (tmp_path / "snapshot").exists()
    ask(client, "SET", "b", "1")
    assert ask(client, "SAVE") == b"+OK\r\n"
    assert ask(client, "LASTSAVE")[:1] == b":"


def test_a_snapshot_that_cannot_be_written_is_reported(start: Start, tmp_path: Path) -> None:
    client = start().connect()
    ask(client, "SET", "a", "1")
    (tmp_path / "snapshot.new").mkdir()
    assert ask(client, "SAVE").startswith(b"-ERR the snapshot cannot be written")
    assert b"rdb_last_bgsave_status:err" in ask(client, "INFO", "persistence")
    (tmp_path / "snapshot.new").rmdir()


def test_a_worker_without_clients_is_held_until_its_state_is_saved(start: Start, tmp_path: Path) -> None:
    pair = Pair(start)
    assert (pair.old.holds, pair.new.holds) == (["the keys are not saved"], [])
    client = pair.old.connect()
    ask(client, "SET", "a", "1")
    client.end()
    (tmp_path / "snapshot.new").mkdir()
    # As in a stop, with which no other worker requests the state.
    pair.old.drain()
    pair.old.advance(0.1)
    wait_for_snapshot(pair.plugins[0])
    pair.old.advance(0.1)
    assert pair.old.holds == [f"Is a directory, so the snapshot {tmp_path / 'snapshot'} is not written"]
    (tmp_path / "snapshot.new").rmdir()
    pair.until(State.FREE, State.OWNED)
    assert pair.old.holds == []
    assert ask(pair.new.connect(), "GET", "a") == b"$1\r\n1\r\n"


def test_a_failure_that_lasts_is_logged_once_a_minute(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = start()
    client = bench.connect()
    (tmp_path / "snapshot.new").mkdir()
    for seconds in (1.0, 58.0, 1.0, 1.0):
        ask(client, "SAVE")
        bench.advance(seconds)
    ask(client, "SAVE")
    assert caplog.text.count("is not written") == 2
    (tmp_path / "snapshot.new").rmdir()
