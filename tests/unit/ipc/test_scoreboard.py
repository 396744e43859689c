"""What a worker stores is what the master reads."""

from __future__ import annotations

import pytest

from reactorhost.ipc.scoreboard import MOST_PLUGINS, TOTALS, Counters, Scoreboard, Timings


def test_every_field_comes_back_as_it_was_stored() -> None:
    board = Scoreboard(2)
    page = board.take_page()
    stored = Counters(pid=7, tick=1.5, connections=10, messages=11, bytes_out=12, cpu_seconds=2.5, lag_max_seconds=3.5)
    board.write(page, stored)
    assert board.read(page) == stored


def test_pages_do_not_touch_each_other_and_a_used_page_comes_back_empty() -> None:
    board = Scoreboard(2)
    first, second = board.take_page(), board.take_page()
    board.write(first, Counters(pid=1))
    board.write(second, Counters(pid=2))
    assert (board.read(first).pid, board.read(second).pid) == (1, 2)
    timings = [Timings(1, 2, 3), Timings(4, 5, 6)]
    timings[1].receive[7] = 8
    board.write_timings(first, timings)
    assert board.read_timings(first, 1) == timings
    assert board.read_timings(second, 1) == [Timings(), Timings()]
    board.give_back(first)
    assert board.take_page() == first
    assert board.read(first) == Counters()
    assert board.read_timings(first, 1) == [Timings(), Timings()]


def test_more_plugins_than_a_page_has_room_for_are_left_out() -> None:
    board = Scoreboard(2)
    full, other = board.take_page(), board.take_page()
    many = [Timings(number) for number in range(MOST_PLUGINS + 9)]
    board.write_timings(full, many)
    assert board.read_timings(full, len(many) - 1) == many[: MOST_PLUGINS + 1]
    assert board.read(other) == Counters()


def test_a_full_board_says_so() -> None:
    board = Scoreboard(1)
    board.take_page()
    with pytest.raises(IndexError):
        board.take_page()


def test_totals_are_counters() -> None:
    assert all(hasattr(Counters(), name) for name in TOTALS)
