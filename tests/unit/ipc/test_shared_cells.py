"""The cells of shared counters: separate for each counter and page, and kept when a page changes hands."""

from __future__ import annotations

import mmap
import os

import pytest

from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.shared_cells import MOST_SHARED_COUNTERS, SharedCells, cells_bytes


def new_cells(pages: int) -> SharedCells:
    return SharedCells(mmap.mmap(-1, cells_bytes(pages)))


def test_a_sum_has_one_cell_of_each_used_page() -> None:
    shared = new_cells(3)
    shared.use(0)
    shared.use(2)
    shared.use(1)
    for page in range(3):
        for row in range(MOST_SHARED_COUNTERS):
            shared.cells[shared.position(page, row)] += 1000 * row + 10**page
    assert [shared.sum(row) for row in range(MOST_SHARED_COUNTERS)] == [
        3000 * row + 111 for row in range(MOST_SHARED_COUNTERS)
    ]


def test_a_page_taken_again_keeps_its_cells() -> None:
    board = Scoreboard(2)
    page = board.take_page()
    board.shared_cells.cells[board.shared_cells.position(page, 5)] = 2**63 - 1
    board.give_back(page)
    assert board.shared_cells.sum(5) == 2**63 - 1
    assert board.take_page() == page
    assert board.shared_cells.sum(5) == 2**63 - 1
    assert board.shared_cells.sum(4) == board.shared_cells.sum(6) == 0


def test_what_a_child_stores_is_seen_by_its_parent() -> None:
    shared = new_cells(1)
    shared.use(0)
    pid = os.fork()
    if pid == 0:
        shared.cells[shared.position(0, 1)] = 7
        os._exit(0)
    os.waitpid(pid, 0)
    assert shared.sum(1) == 7


def test_the_cells_end_with_the_last_page() -> None:
    shared = new_cells(2)
    shared.cells[shared.position(1, MOST_SHARED_COUNTERS - 1)] = 1
    with pytest.raises(IndexError):
        shared.cells[shared.position(2, 0)] = 1
