"""Tests of the newest messages of groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.backend import Keep
from reactorhost.bus.history import Entry, Histories, Part


def histories(keep: Keep | None = None, pattern: str = "g:*", **most: int) -> Histories:
    made = Histories(**most)
    made.keep(pattern, keep or Keep(3))
    return made


def a(number: int, data: bytes = b"") -> Entry:
    return Entry(b"A", number, data or b"a%d" % number)


def b(number: int) -> Entry:
    return Entry(b"B", number, b"b%d" % number)


def newest(found: Histories, key: str = "g:x", most: int = 1000, now: float = 0.0) -> list[bytes]:
    return found.newest(key, most, now)


def test_the_newest_messages_are_kept() -> None:
    found = histories()
    for number in range(1, 6):
        found.add("g:x", a(number), 0.0)
    assert newest(found) == [b"a3", b"a4", b"a5"]
    assert newest(found, most=2) == [b"a4", b"a5"]
    assert newest(found, "g:y") == []


def test_only_keys_that_fit_a_pattern_are_kept() -> None:
    found = histories(pattern="g:room.*")
    for key in ("g:room", "g:other", "t:room.1"):
        found.add(key, a(1), 0.0)
        found.merge(Part(key, 0.0, [a(2)]), 0.0)
        assert found.keep_of(key) is None
        assert newest(found, key) == []
    found.add("g:room.1", a(1), 0.0)
    assert newest(found, "g:room.1") == [b"a1"]


@pytest.mark.parametrize(
    ("keeps", "expected"),
    [
        ([("g:*", Keep(3, 5.0)), ("g:x", Keep(9, 1.0))], Keep(9, 5.0)),
        ([("g:x", Keep(3, 5.0)), ("g:x*", Keep(2, None))], Keep(3, None)),
        ([("g:x", Keep(3, 5.0)), ("g:x", Keep(2, 9.0))], Keep(3, 9.0)),
        ([("g:x", Keep(3, 5.0)), ("g:y*", Keep(20, None))], Keep(3, 5.0)),
    ],
)
def test_the_largest_values_of_overlapping_patterns_count(keeps: list[tuple[str, Keep]], expected: Keep) -> None:
    for order in (keeps, keeps[::-1]):
        found = Histories()
        for pattern, keep in order:
            found.keep(pattern, keep)
        assert found.keep_of("g:x") == expected


def test_a_group_is_kept_for_some_time_after_its_last_message() -> None:
    found = histories(Keep(3, 10.0))
    found.add("g:x", a(1), 0.0)
    found.add("g:x", a(2), 8.0)
    assert newest(found, now=18.0) == [b"a1", b"a2"]
    assert newest(found, now=18.1) == []
    found.add("g:x", a(3), 19.0)
    assert newest(found, now=19.0) == [b"a3"]


def test_expired_groups_are_removed_when_others_are_added_to() -> None:
    found = histories(Keep(3, 10.0))
    for number in range(100):
        found.add(f"g:{number}", a(1), 0.0)
    found.add("g:new", a(1), 20.0)
    assert [part.key for part in found.parts(None, 1000)] == ["g:new"]


def test_a_message_is_kept_once_and_those_of_an_origin_are_in_order() -> None:
    found = histories(Keep(10))
    for entry in (a(1), b(1), a(3), a(3), a(2), b(1)):
        found.add("g:x", entry, 0.0)
    assert newest(found) == [b"a1", b"b1", b"a2", b"a3"]


def test_the_rings_of_another_worker_are_put_before_what_has_arrived() -> None:
    found = histories(Keep(10))
    found.add("g:x", a(4), 5.0)
    found.merge(Part("g:x", 4.0, [a(1), b(1), a(3)]), 6.0)
    assert newest(found) == [b"a1", b"b1", b"a3", b"a4"]
    # Those of its publisher, which has sent 2 before this worker was known to it.
    found.merge(Part("g:x", 4.0, [a(1), a(2), a(3), a(4)]), 6.0)
    assert newest(found) == [b"a1", b"b1", b"a2", b"a3", b"a4"]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([b(1), b(2)], [b"a1", b"b1", b"a2", b"b2"]),
        ([b(2)], [b"a1", b"b1", b"a2", b"b2"]),
        ([b(2), b(3)], [b"a1", b"b1", b"a2", b"b2", b"b3"]),
        ([a(1), b(1), a(2), b(2)], [b"a1", b"b1", b"a2", b"b2"]),
        ([Entry(b"C", 1, b"c1"), a(2), Entry(b"C", 2, b"c2")], [b"a1", b"b1", b"c1", b"a2", b"c2", b"b2"]),
    ],
)
def test_what_is_kept_here_too_stays_in_its_order(others: list[Entry], expected: list[bytes]) -> None:
    found = histories(Keep(10))
    for entry in (a(1), b(1), a(2), b(2)):
        found.add("g:x", entry, 0.0)
    found.merge(Part("g:x", 0.0, others), 0.0)
    assert newest(found) == expected


@pytest.mark.parametrize(("last_at", "expired_at"), [(3.0, 13.1), (100.0, 17.1)])
def test_the_rings_of_another_worker_are_as_old_as_they_are_there(last_at: float, expired_at: float) -> None:
    found = histories(Keep(10, 10.0))
    found.merge(Part("g:x", last_at, [a(1)]), 7.0)
    assert newest(found, now=expired_at - 0.2) == [b"a1"]
    assert newest(found, now=expired_at) == []


def test_an_expired_ring_of_another_worker_is_not_merged() -> None:
    found = histories(Keep(10, 10.0))
    found.merge(Part("g:x", 3.0, [a(1)]), 14.0)
    assert list(found.parts(None, 1000)) == []


def test_the_groups_that_are_silent_for_longest_are_removed_when_there_are_too_many() -> None:
    found = histories(most_bytes=100_000)
    for number in range(1000):
        found.add(f"g:{number}", a(1), 0.0)
        found.add("g:busy", b(number + 1), 0.0)
    kept = [part.key for part in found.parts(None, 1000)]
    assert kept[-1] == "g:busy"
    assert kept[:-1] == [f"g:{number}" for number in range(1001 - len(kept), 1000)]
    assert 30 < len(kept) < 70


def test_a_single_group_loses_its_oldest_messages_when_they_are_too_large() -> None:
    found = histories(Keep(100), most_bytes=10_000)
    for number in range(1, 51):
        found.add("g:x", a(number, b"%d" % number * 500), 0.0)
    kept = newest(found)
    assert 5 <= len(kept) < 20
    assert kept[-1] == b"50" * 500


def test_a_message_that_is_too_large_is_not_kept() -> None:
    found = histories(most_bytes=10_000)
    found.add("g:x", a(1, b"x" * 20_000), 0.0)
    assert newest(found) == []


def test_own_messages_are_repeated_from_a_number_on() -> None:
    found = histories()
    for number in range(1, 6):
        found.add("g:x", a(number), 0.0)
    found.add("g:x", b(7), 0.0)
    assert found.since("g:x", b"A", 4) == [(4, b"a4"), (5, b"a5")]
    assert found.since("g:x", b"B", 7) == [(7, b"b7")]


@pytest.mark.parametrize(("key", "number"), [("g:x", 1), ("g:x", 6), ("g:y", 4)])
def test_nothing_is_repeated_if_one_is_not_kept_any_more(key: str, number: int) -> None:
    found = histories()
    for each in range(1, 6):
        found.add("g:x", a(each), 0.0)
    assert found.since(key, b"A", number) is None


def test_rings_are_read_in_parts_while_they_change() -> None:
    found = histories(Keep(10))
    for number in range(1, 6):
        found.add("g:x", a(number, b"x" * 400), 0.0)
        found.add("g:y", b(number), 0.0)
    parts = found.parts(None, 1300)
    first = next(parts)
    assert (first.key, [entry.number for entry in first.entries]) == ("g:x", [1, 2])
    found.add("g:x", a(6), 0.0)
    found.add("g:y", b(6), 0.0)
    assert [(part.key, [entry.number for entry in part.entries]) for part in parts] == [
        ("g:x", [3, 4]),
        ("g:x", [5]),
        ("g:y", [1, 2, 3, 4, 5, 6]),
    ]
    assert [part.key for part in found.parts(b"B", 10_000)] == ["g:y"]
    assert list(found.parts(b"C", 10_000)) == []


@given(
    st.lists(st.tuples(st.sampled_from([b"A", b"B"]), st.integers(1, 12)), max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(1, 12)), st.sampled_from([b"A", b"B"])), max_size=3),
    st.integers(1, 12),
)
def test_any_mixture_of_arrivals_and_rings_is_in_order_without_repetition(
    live: list[tuple[bytes, int]], merged: list[tuple[int, list[int], bytes]], messages: int
) -> None:
    found = histories(Keep(messages))
    for at in range(len(live) + 1):
        for when, numbers, origin in merged:
            if min(when, len(live)) == at:
                found.merge(Part("g:x", 0.0, [Entry(origin, number, b"x") for number in numbers]), 0.0)
        if at < len(live):
            found.add("g:x", Entry(*live[at], b"x"), 0.0)
    entries = [entry for part in found.parts(None, 10**6) for entry in part.entries]
    assert len(entries) <= messages
    for origin in (b"A", b"B"):
        numbers = [entry.number for entry in entries if entry.origin == origin]
        assert numbers == sorted(set(numbers))
    seen = {*live, *((origin, number) for _, numbers, origin in merged for number in numbers)}
    assert {(entry.origin, entry.number) for entry in entries} <= seen
    if len(seen) <= messages:
        assert len(entries) == len(seen)
