"""Keys expire by a clock of the test, and the memory that they count for is that of what is there."""

from __future__ import annotations

import errno
import os
import zlib
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost_redisserver.globs import compiled
from reactorhost_redisserver.keyspace import KEY_BYTES, Keyspace, Value, cost
from reactorhost_redisserver.scans import MOST_SCANS, Scans
from reactorhost_redisserver.snapshot import MAGIC, SnapshotError, read_snapshot, temporary, write_snapshot

BYTES = st.binary(max_size=10)
VALUES = st.one_of(
    BYTES,
    st.dictionaries(BYTES, BYTES, min_size=1, max_size=4),
    st.lists(BYTES, min_size=1, max_size=4).map(deque),
    st.sets(BYTES, min_size=1, max_size=4),
)
KEYSPACES = st.dictionaries(
    st.tuples(st.integers(0, 15), BYTES), st.tuples(VALUES, st.one_of(st.none(), st.integers(1, 1 << 62))), max_size=8
)


def keyspace_of(keys: dict[tuple[int, bytes], tuple[Value, int | None]]) -> Keyspace:
    keyspace = Keyspace()
    for (index, key), (value, expires_at) in keys.items():
        keyspace.databases[index].store(key, value, expires_at)
    return keyspace


def contents(keyspace: Keyspace) -> list[tuple[dict[bytes, Value], dict[bytes, int]]]:
    return [(each.values, each.expires) for each in keyspace.databases]


def counted(keyspace: Keyspace) -> int:
    return sum(KEY_BYTES + len(key) + cost(value) for each in keyspace.databases for key, value in each.values.items())


def test_a_key_expires_when_it_is_looked_for() -> None:
    keyspace = Keyspace()
    database = keyspace.databases[0]
    database.store(b"a", b"1", 1000)
    keyspace.now = 1000
    assert database.find(b"a") == b"1"
    keyspace.now = 1001
    assert database.find(b"a") is None
    assert (keyspace.expired, keyspace.used, database.values, database.expires) == (1, 0, {}, {})


def test_keys_that_are_not_looked_for_are_removed_in_the_order_of_their_expiry() -> None:
    keyspace = Keyspace()
    database = keyspace.databases[3]
    for at in (30, 10, 20):
        database.store(b"%d" % at, b"x", at)
    database.expire_at(b"20", 90)
    keyspace.now = 50
    assert keyspace.expire(1) == 1
    assert sorted(database.values) == [b"20", b"30"]
    assert keyspace.expire(100) == 2
    assert list(database.values) == [b"20"]
    keyspace.now = 91
    assert keyspace.expire(100) == 1
    assert database.values == {}


def test_changing_an_expiry_often_needs_no_more_memory() -> None:
    keyspace = Keyspace()
    keyspace.databases[0].store(b"a", b"1", 10)
    for at in range(20, 20_000):
        keyspace.databases[0].expire_at(b"a", at)
    assert len(keyspace._expiries) < 2000


def test_databases_are_exchanged_with_their_expiries() -> None:
    keyspace = Keyspace()
    keyspace.databases[0].store(b"a", b"1", 10)
    keyspace.databases[1].store(b"b", b"2", None)
    keyspace.swap(0, 1)
    assert contents(keyspace)[:2] == [({b"b": b"2"}, {}), ({b"a": b"1"}, {b"a": 10})]
    keyspace.now = 20
    keyspace.expire(10)
    assert contents(keyspace)[1] == ({}, {})


@settings(deadline=None, max_examples=40)
@given(KEYSPACES)
def test_a_snapshot_has_everything(tmp_path_factory: pytest.TempPathFactory, keys: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("snapshot") / "file"
    before, after = keyspace_of(keys), keyspace_of({(0, b"old"): (b"value", 7)})
    write_snapshot(path, before)
    for _ in read_snapshot(path, after):
        pass
    assert contents(after) == contents(before)
    assert after.used == before.used == counted(before)
    assert not temporary(path).exists()


def test_a_large_snapshot_is_read_in_steps(tmp_path: Path) -> None:
    before, after = keyspace_of({(0, b"%d" % number): (b"x" * 600, None) for number in range(10_000)}), Keyspace()
    write_snapshot(tmp_path / "file", before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    steps = sum(1 for _ in read_snapshot(tmp_path / "file", after))
    assert steps >= 10
    assert contents(after) == contents(before)


def test_a_snapshot_replaces_the_old_one_only_when_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    replace = Path.replace

    def record_replace(path: Path, target: Path) -> Path:
        calls.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    monkeypatch.setattr(Path, "replace", record_replace)
    write_snapshot(tmp_path / "file", keyspace_of({}))
    assert calls == ["fsync", "replace", "fsync"]


def test_a_snapshot_that_cannot_be_written_leaves_the_old_one_and_no_part_of_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_snapshot(tmp_path / "file", keyspace_of({(0, b"old"): (b"value", None)}))
    before = (tmp_path / "file").read_bytes()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_snapshot(tmp_path / "file", keyspace_of({(0, b"new"): (b"value", None)}))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == before


def test_every_damage_of_a_snapshot_is_noticed_before_a_key_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_snapshot(
        path, keyspace_of({(0, b"key"): (b"value", None), (1, b"h"): ({b"f": b"v"}, 5), (1, b"l"): (deque([b"x"]), 5)})
    )
    whole = path.read_bytes()
    damaged = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for each in (*damaged, *(whole[:length] for length in range(len(whole))), whole + b"\0"):
        path.write_bytes(each)
        keyspace = Keyspace()
        with pytest.raises(SnapshotError):
            list(read_snapshot(path, keyspace))
        assert keyspace.used == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"REDIS0011" + bytes(100), "it is something else"),
        (MAGIC.replace(b"2", b"3") + bytes(100), "its format 3 is not known"),
        (b"", "it is too short"),
    ],
)
def test_another_file_is_no_snapshot(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(SnapshotError) as refused:
        list(read_snapshot(tmp_path / "file", Keyspace()))
    assert str(refused.value) == reason


def test_a_snapshot_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_snapshot(path, keyspace_of({(0, b"key"): (b"value", None)}))
    first = path.read_bytes().replace(MAGIC, MAGIC.replace(b"2", b"1"))[:-4]
    path.write_bytes(first + zlib.crc32(first).to_bytes(4, "little"))
    list(read_snapshot(path, after := Keyspace()))
    assert contents(after)[0] == ({b"key": b"value"}, {})


def test_a_value_of_an_unknown_kind_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_snapshot(path, keyspace_of({(0, b"key"): (b"value", None)}))
    changed = bytearray(path.read_bytes()[:-4])
    changed[len(MAGIC)] = 9
    path.write_bytes(changed + zlib.crc32(changed).to_bytes(4, "little"))
    with pytest.raises(SnapshotError, match="the unknown kind 9"):
        list(read_snapshot(path, Keyspace()))


def test_a_scan_returns_each_key_once() -> None:
    scans, names = Scans(), [b"%d" % number for number in range(25)]
    cursor, found = scans.next(0, 10, "db", lambda: names)
    seen = [*found]
    while cursor:
        cursor, found = scans.next(cursor, 10, "db", lambda: [b"new"])
        seen += found
    assert seen == names


def test_a_scan_that_was_dropped_begins_anew() -> None:
    scans, names = Scans(), [b"%d" % number for number in range(25)]
    dropped, _ = scans.next(0, 10, "db", lambda: names)
    for _ in range(MOST_SCANS):
        scans.next(0, 10, "db", lambda: names)
    assert scans.next(dropped, 100, "db", lambda: names) == (0, names)


def test_a_cursor_of_another_database_begins_anew() -> None:
    scans, names = Scans(), [b"%d" % number for number in range(25)]
    cursor, _ = scans.next(0, 10, "db", lambda: names)
    assert scans.next(cursor, 100, "other", lambda: [b"a"]) == (0, [b"a"])


def test_a_glob_with_many_stars_takes_no_time() -> None:
    assert compiled(b"*a" * 40 + b"*b").fullmatch(b"a" * 5000) is None


@settings(deadline=None)
@given(st.text(alphabet="ab*?", max_size=6).map(str.encode), st.text(alphabet="ab", max_size=6).map(str.encode))
def test_a_glob_matches_what_trying_every_split_finds(glob: bytes, name: bytes) -> None:
    def matches(glob: bytes, name: bytes) -> bool:
        if not glob:
            return not name
        if glob[:1] == b"*":
            return any(matches(glob[1:], name[at:]) for at in range(len(name) + 1))
        return bool(name) and glob[:1] in (b"?", name[:1]) and matches(glob[1:], name[1:])

    expected = matches(glob, name) if name else glob in (b"", b"*")
    assert (compiled(glob).fullmatch(name) is not None) == expected
