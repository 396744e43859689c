"""The connections of an address: exact in one worker, never too few in all, and not much too many."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings, strategies

from reactorhost.ipc.address_sketch import AddressSketch
from reactorhost.worker.admission.address_counts import AddressCounts

WORKERS = 3


@pytest.fixture
def sketch() -> AddressSketch:
    made = AddressSketch(WORKERS)
    for page in range(WORKERS):
        made.use(page)
    return made


def test_the_limit_is_of_all_workers_together(sketch: AddressSketch) -> None:
    workers = [AddressCounts(sketch, page) for page in range(WORKERS)]
    assert [workers[number % WORKERS].begin(b"a", 4) for number in range(6)] == [True] * 4 + [False] * 2
    assert workers[0].begin(b"b", 4)
    workers[1].end(b"a")
    assert [workers[2].begin(b"a", 4), workers[0].begin(b"a", 4)] == [True, False]


def test_a_refused_connection_is_not_counted(sketch: AddressSketch) -> None:
    first, second = AddressCounts(sketch, 0), AddressCounts(sketch, 1)
    assert first.begin(b"a", 1)
    assert not any(worker.begin(b"a", 1) for worker in (first, second) for _ in range(5))
    first.end(b"a")
    assert second.begin(b"a", 1)


def test_the_connections_of_a_worker_that_has_ended_do_not_count(sketch: AddressSketch) -> None:
    ended, other = AddressCounts(sketch, 1), AddressCounts(sketch, 2)
    assert ended.begin(b"a", 1)
    sketch.clear(1)
    assert other.begin(b"a", 1)


def test_a_page_counts_from_its_use_on() -> None:
    sketch = AddressSketch(2)
    sketch.use(0)
    first = AddressCounts(sketch, 0)
    sketch.use(1)
    assert AddressCounts(sketch, 1).begin(b"a", 1)
    assert not first.begin(b"a", 1)


@settings(max_examples=50)
@given(
    strategies.lists(
        strategies.tuples(strategies.booleans(), strategies.integers(0, 2), strategies.integers(0, 20)),
        max_size=60,
    )
)
def test_never_more_than_the_limit_whatever_begins_and_ends(steps: list[tuple[bool, int, int]]) -> None:
    sketch = AddressSketch(WORKERS)
    workers = [AddressCounts(sketch, page) for page in range(WORKERS)]
    for page in range(WORKERS):
        sketch.use(page)
    opened: Counter[tuple[int, int]] = Counter()
    for begins, worker, address in steps:
        key = bytes([address])
        if begins:
            count = sum(opened[each, address] for each in range(WORKERS))
            # So few addresses share no three cells.
            assert workers[worker].begin(key, 2) is (count < 2)
            opened[worker, address] += count < 2
        elif opened[worker, address]:
            workers[worker].end(key)
            opened[worker, address] -= 1


def test_a_hundred_thousand_other_connections_add_little_to_an_address(sketch: AddressSketch) -> None:
    others = AddressCounts(sketch, 0)
    for number in range(100_000):
        others.begin(number.to_bytes(4), 100)
    excess = Counter(sketch.others(1, sketch.places(b"x" + number.to_bytes(4))) for number in range(2000))
    assert excess[0] > 1500
    assert max(excess) < 8
