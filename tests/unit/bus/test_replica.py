from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus import replica
from reactorhost.bus.replica import Change, Chunk, Difference, Journal, Replica


def copied(journal: Journal) -> Replica:
    copy = Replica()
    for chunk in journal.snapshot():
        copy.chunk(chunk)
    return copy


def change(journal: Journal, key: str, value: bytes | None) -> Change:
    made = journal.set(key, value)
    assert made is not None
    return made


def filled(*keys: str) -> Journal:
    journal = Journal()
    for key in keys:
        journal.set(key, b"1")
    return journal


def test_a_change_has_the_next_version() -> None:
    journal = Journal()
    assert journal.set("a", b"1") == (1, "a", b"1")
    assert journal.set("a", b"2") == (2, "a", b"2")
    assert journal.set("a", None) == (3, "a", None)
    assert journal.table == {}


@pytest.mark.parametrize(("key", "value"), [("a", b"1"), ("b", None)])
def test_what_changes_nothing_has_no_version(key: str, value: bytes | None) -> None:
    journal = filled("a")
    assert journal.set(key, value) is None
    assert journal.version == 1


def test_the_snapshot_of_an_empty_table_is_one_chunk() -> None:
    assert list(Journal().snapshot()) == [Chunk(0, 0, True, [])]


def test_a_snapshot_is_of_the_moment_when_it_was_made() -> None:
    journal = filled("a")
    chunks = journal.snapshot()
    journal.set("b", b"1")
    assert list(chunks) == [Chunk(1, 0, True, [("a", b"1")])]


def test_a_large_table_is_sent_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "CHUNK_BYTES", 20)
    journal = filled("a", "b", "c", "d", "e")
    assert [(each.position, each.last, len(each.entries)) for each in journal.snapshot()] == [
        (0, False, 2),
        (1, False, 2),
        (2, True, 1),
    ]
    assert copied(journal).table == journal.table


def test_an_entry_longer_than_a_chunk_is_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "CHUNK_BYTES", 20)
    journal = Journal()
    journal.set("a", bytes(100))
    journal.set("b", bytes(100))
    assert [len(each.entries) for each in journal.snapshot()] == [1, 1]


def test_the_first_snapshot_is_reported_also_if_it_is_empty() -> None:
    copy = Replica()
    assert copy.chunk(Chunk(0, 0, True, [])) == Difference({}, {}, first=True)
    assert copy.current


def test_changes_follow_a_snapshot() -> None:
    journal = filled("a")
    copy = copied(journal)
    assert copy.change(*change(journal, "b", b"2")) == Difference({}, {"b": b"2"})
    assert copy.change(*change(journal, "b", b"3")) == Difference({"b": b"2"}, {"b": b"3"})
    assert copy.change(*change(journal, "a", None)) == Difference({"a": b"1"}, {})
    assert copy.table == journal.table
    assert not copy.wanted


def test_a_change_of_an_unknown_table_wants_a_snapshot_once() -> None:
    copy = Replica()
    assert copy.change(5, "a", b"1") is None
    assert copy.wanted
    copy.wanted = False
    copy.change(6, "a", b"2")
    assert not copy.wanted


def test_a_missed_change_wants_a_snapshot_and_the_snapshot_returns_what_was_missed() -> None:
    journal = filled("a", "b")
    copy = copied(journal)
    change(journal, "a", None)
    change(journal, "c", b"3")
    assert copy.change(*change(journal, "d", b"4")) is None
    assert copy.wanted
    assert not copy.current
    (chunk,) = journal.snapshot()
    assert copy.chunk(chunk) == Difference({"a": b"1"}, {"c": b"3", "d": b"4"})
    assert (copy.current, copy.wanted, copy.table) == (True, False, journal.table)


def test_changes_between_the_chunks_are_applied_behind_the_snapshot() -> None:
    copy = Replica()
    copy.chunk(Chunk(5, 0, False, [("a", b"1"), ("b", b"1")]))
    assert copy.change(6, "a", None) is None
    assert copy.change(7, "b", b"2") is None
    assert copy.change(8, "d", b"4") is None
    assert not copy.wanted
    assert copy.chunk(Chunk(5, 1, True, [("c", b"1")])) == Difference({}, {"b": b"2", "c": b"1", "d": b"4"}, first=True)
    assert copy.version == 8


def test_a_missed_change_between_the_chunks_spoils_the_snapshot() -> None:
    copy = Replica()
    copy.chunk(Chunk(5, 0, False, [("a", b"1")]))
    copy.change(7, "b", b"2")
    assert copy.wanted
    assert copy.chunk(Chunk(5, 1, True, [("c", b"1")])) is None
    assert copy.version is None


@pytest.mark.parametrize("position", [1, 3])
def test_a_missing_or_repeated_chunk_spoils_the_snapshot(position: int) -> None:
    copy = Replica()
    copy.chunk(Chunk(5, 0, False, [("a", b"1")]))
    copy.chunk(Chunk(5, 1, False, [("b", b"1")]))
    assert copy.chunk(Chunk(5, position, True, [("c", b"1")])) is None
    assert copy.wanted
    assert copy.table == {}


def test_a_snapshot_begins_anew_with_chunk_0() -> None:
    copy = Replica()
    copy.chunk(Chunk(5, 0, False, [("a", b"1")]))
    copy.chunk(Chunk(6, 0, False, [("b", b"1")]))
    copy.chunk(Chunk(6, 1, True, [("c", b"1")]))
    assert copy.table == {"b": b"1", "c": b"1"}
    assert not copy.wanted


def test_a_snapshot_that_another_reader_wanted_changes_nothing() -> None:
    journal = filled("a", "b")
    copy = copied(journal)
    chunks = list(journal.snapshot())
    copy.change(*change(journal, "c", b"3"))
    assert [copy.chunk(chunk) for chunk in chunks] == [None]
    assert copy.table == journal.table


def test_a_change_continues_while_another_readers_snapshot_arrives() -> None:
    journal = filled("a")
    copy = copied(journal)
    copy.chunk(Chunk(1, 0, False, [("a", b"1")]))
    assert copy.change(*change(journal, "b", b"2")) == Difference({}, {"b": b"2"})


def test_an_old_change_is_ignored() -> None:
    copy = copied(filled("a", "b"))
    assert copy.change(1, "a", None) is None
    assert copy.table == {"a": b"1", "b": b"1"}
    assert not copy.wanted


def test_a_reported_version_that_is_newer_wants_a_snapshot() -> None:
    copy = copied(filled("a"))
    copy.check(1)
    assert not copy.wanted
    copy.check(2)
    assert copy.wanted


def test_a_request_that_was_lost_is_repeated_with_the_next_reported_version() -> None:
    copy = Replica()
    copy.check(1)
    copy.wanted = False
    copy.check(1)
    assert copy.wanted


def test_a_snapshot_whose_end_was_lost_is_noticed_by_the_second_reported_version() -> None:
    copy = Replica()
    copy.chunk(Chunk(5, 0, False, [("a", b"1")]))
    copy.check(5)
    assert not copy.wanted
    copy.check(5)
    assert copy.wanted


class Reader:
    """A copy, and what its reader knows from the returned differences."""

    def __init__(self) -> None:
        self.copy = Replica()
        self.known: dict[str, bytes] = {}

    def note(self, difference: Difference | None) -> None:
        if difference is not None:
            for key, value in difference.removed.items():
                assert self.known.pop(key) == value
            self.known.update(difference.added)
        assert self.known == self.copy.table


def single_entries(journal: Journal) -> list[Chunk]:
    entries = list(journal.table.items())
    parts = [[each] for each in entries] or [[]]
    return [Chunk(journal.version, at, at == len(parts) - 1, part) for at, part in enumerate(parts)]


KEYS = st.sampled_from("abcde")
VALUES = st.sampled_from([None, b"1", b"22"])


@given(st.lists(st.tuples(st.sampled_from(["set", "snapshot", "chunk"]), KEYS, VALUES, st.booleans())))
def test_a_copy_becomes_equal_to_the_table_after_any_losses(steps: list[tuple[str, str, bytes | None, bool]]) -> None:
    journal, reader = Journal(), Reader()
    chunks = iter(single_entries(journal))
    for step, key, value, lost in steps:
        if step == "snapshot":
            chunks = iter(single_entries(journal))
        elif step == "chunk":
            chunk = next(chunks, None)
            if chunk is not None and not lost:
                reader.note(reader.copy.chunk(chunk))
        else:
            made = journal.set(key, value)
            if made is not None and not lost:
                reader.note(reader.copy.change(*made))
        if reader.copy.current and reader.copy.version == journal.version:
            assert reader.copy.table == journal.table
    reader.copy.check(journal.version)
    reader.copy.check(journal.version)
    if reader.copy.wanted:
        for chunk in single_entries(journal):
            reader.note(reader.copy.chunk(chunk))
    assert reader.copy.table == journal.table
    assert reader.copy.current
