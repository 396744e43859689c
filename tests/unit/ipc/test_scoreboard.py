"""The master reads what a worker has stored."""

from __future__ import annotations

from typing import cast

import pytest

from reactorhost.ipc.scoreboard import MOST_PLUGINS, TOTALS, Counters, Scoreboard, Timings


def test_every_field_is_read_as_it_was_stored() -> None:
    board = Scoreboard(2)
    page = board.take_page()
    stored = Counters(pid=7, tick=1.5, connections=10, messages=11, bytes_out=12, cpu_seconds=2.5, lag_max_seconds=3.5)
    board.write(page, stored)
    assert board.read(page) == stored


def test_a_reader_during_a_write_sees_the_old_values() -> None:
    board = Scoreboard(1)
    page = board.take_page()
    board.write(page, Counters(pid=7, messages=10))
    seen: list[Counters] = []

    class ReadsWhenPacked:
        def __index__(self) -> int:
            seen.append(board.read(page))
            return 11

    board.write(page, Counters(pid=7, messages=cast("int", ReadsWhenPacked())))
    assert board.read(page).messages == 11
    assert [(each.pid, each.messages) for each in seen] == [(7, 10)]


def test_pages_are_separate_and_a_page_taken_again_is_empty() -> None:
    board = Scoreboard(2)
    first, second = board.take_page(), board.take_page()
    board.write(first, Counters(pid=1))
    board.write(second, Counters(pid=2))
    assert (board.read(first).pid, board.read(second).pid) == (1, 2)
    timings = [Timings(1, 2, 3, 4), Timings(5, 6, 7, 8)]
    timings[1].receive[7] = 9
    board.write_timings(first, timings)
    assert board.read_timings(first, 1) == timings
    assert board.read_timings(second, 1) == [Timings(), Timings()]
    board.give_back(first)
    assert board.take_page() == first
    assert board.read(first) == Counters()
    assert board.read_timings(first, 1) == [Timings(), Timings()]


def test_plugins_beyond_the_capacity_of_a_page_are_left_out() -> None:
    board = Scoreboard(2)
    full, other = board.take_page(), board.take_page()
    many = [Timings(number) for number in range(MOST_PLUGINS + 9)]
    board.write_timings(full, many)
    assert board.read_timings(full, len(many) - 1) == many[: MOST_PLUGINS + 1]
    assert board.read(other) == Counters()


def test_a_page_beyond_the_capacity_raises_index_error() -> None:
    board = Scoreboard(1)
    board.take_page()
    with pytest.raises(IndexError):
        board.take_page()


def test_totals_are_counters() -> None:
    assert all(hasattr(Counters(), name) for name in TOTALS)


def test_the_bus_id_of_a_worker_is_known_until_it_has_ended() -> None:
    board = Scoreboard(3)
    first, second = board.take_page(), board.take_page()
    # The id of no worker, though it is what an unused page has.
    assert not board.has_bus_id(bytes(8))
    board.write_bus_id(first, b"worker 1")
    board.write_bus_id(second, b"worker 2")
    board.write(second, Counters(pid=2))
    board.write_timings(second, [Timings()] * (1 + MOST_PLUGINS))
    assert board.has_bus_id(b"worker 1")
    assert board.has_bus_id(b"worker 2")
    assert not board.has_bus_id(b"worker 3")
    board.give_back(first)
    assert not board.has_bus_id(b"worker 1")
    assert board.has_bus_id(b"worker 2")
