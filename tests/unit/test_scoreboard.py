"""What a worker stores is what the master reads."""

from __future__ import annotations

import pytest

from reactorhost.scoreboard import TOTALS, Counters, Scoreboard


def test_every_field_comes_back_as_it_was_stored() -> None:
    board = Scoreboard(2)
    page = board.take_page()
    stored = Counters(7, 1.5, 2.5, *range(10, 18))
    board.write(page, stored)
    assert board.read(page) == stored


def test_pages_do_not_touch_each_other_and_a_used_page_comes_back_empty() -> None:
    board = Scoreboard(2)
    first, second = board.take_page(), board.take_page()
    board.write(first, Counters(pid=1))
    board.write(second, Counters(pid=2))
    assert (board.read(first).pid, board.read(second).pid) == (1, 2)
    board.give_back(first)
    assert board.take_page() == first
    assert board.read(first) == Counters()


def test_a_full_board_says_so() -> None:
    board = Scoreboard(1)
    board.take_page()
    with pytest.raises(IndexError):
        board.take_page()


def test_totals_are_counters() -> None:
    assert all(hasattr(Counters(), name) for name in TOTALS)
