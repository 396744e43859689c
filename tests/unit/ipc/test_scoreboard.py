"""The master reads what a worker has stored."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from typing import cast

import pytest

from reactorhost.ipc.counters import TOTALS, Counters, Timings
from reactorhost.ipc.scoreboard import LAYOUT, MOST_PLUGINS, Layout, PagesState, Scoreboard, ScoreboardState
from reactorhost.ipc.stall import Stall
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.system.shared_memory import SharedMemory

STALL = Stall("made", "receive", "made.py:3", 12.5)


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


def test_what_blocks_a_loop_is_stored_until_it_turns() -> None:
    board = Scoreboard(2)
    page, other = board.take_page(), board.take_page()
    board.write_bus_id(page, b"12345678")
    assert board.read_stall(page) is None
    for stall in (STALL, replace(STALL, where="a.py:1"), None, STALL):
        board.write_stall(page, stall)
        assert board.read_stall(page) == stall
    assert board.read_stall(other) is None
    assert board.has_bus_id(b"12345678")
    board.give_back(page)
    assert board.take_page() == page
    assert board.read_stall(page) is None


def test_the_pages_of_an_earlier_version_have_no_stall() -> None:
    layout = to_json(LAYOUT)
    del layout["stall_at"]
    assert from_json(Layout, layout).stall_at == 0


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


def handed_over(board: Scoreboard, pages: tuple[PagesState, ...] | None = None) -> Scoreboard:
    """Return the scoreboard of a program that gets a board's descriptors; the first `pages` are those of `board`."""
    state = from_json(ScoreboardState, to_json(board.export()))
    return Scoreboard(99, _duplicated(replace(state, pages=pages or state.pages)))


def test_the_pages_of_workers_continue_in_another_program() -> None:
    board = Scoreboard(3)
    first, second = board.take_page(), board.take_page()
    board.give_back(first)
    board.write(second, Counters(pid=2, messages=7))
    board.write_timings(second, [Timings(1, 2, 3)])
    board.write_stall(second, STALL)
    board.shared_cells.cells[board.shared_cells.position(second, 5)] = 9
    other = handed_over(board)
    board.close_descriptors()
    assert (other.read(second), other.read_timings(second, 0)) == (Counters(pid=2, messages=7), [Timings(1, 2, 3)])
    assert other.read_stall(second) == STALL
    assert other.shared_cells.sum(5) == 9
    # The worker of before goes on writing, and the other program starts workers.
    board.write(second, Counters(pid=2, messages=8))
    assert {other.take_page(), other.take_page()} == {0, 2}
    assert other.read(second).messages == 8
    with pytest.raises(IndexError):
        other.take_page()


def test_pages_with_other_fields_are_read_by_name_until_their_workers_have_ended() -> None:
    board = Scoreboard(2)
    page = board.take_page()
    fields = (("pid", "q"), ("removed", "d"), ("messages", "q"))
    memory = SharedMemory("earlier", 2 * 4096)
    struct.pack_into("qdq", memory.memory, page * 4096, 7, 1.5, 11)
    struct.pack_into("7q", memory.memory, page * 4096 + 64, 1, 2, 3, 4, 5, 6, 7)
    struct.pack_into("7q", memory.memory, page * 4096 + 64 + 56, 8, 9, 10, 0, 0, 0, 0)
    earlier = PagesState(memory.export(), Layout(4096, fields, ("calls", "nanoseconds", "errors"), 64, 4, 1), (page,))
    other = handed_over(board, (earlier,))
    assert other.read(page) == Counters(pid=7, messages=11)
    assert other.read_stall(page) is None
    assert other.read_timings(page, 5) == [Timings(0, 2, 3), Timings(0, 9, 10)]
    fresh = other.take_page()
    other.write(fresh, Counters(pid=8))
    # Through one more program, while the worker still runs.
    third = handed_over(other)
    assert (fresh, third.read(page).pid, third.read(fresh).pid) == (1 - page, 7, 8)
    assert len(third.export().pages) == 2
    third.give_back(page)
    assert [each.used for each in third.export().pages] == [(fresh,)]
    assert third.take_page() == page
    assert third.read(page) == Counters()


def test_records_of_services_that_no_worker_has_are_not_passed_on_for_ever() -> None:
    board = Scoreboard(2, services=3)
    other = Scoreboard(2, _duplicated(board.export()), services=1)
    # It may have to return to the program of before.
    assert [each.services for each in other.export().services] == [3, 1]
    other.close_unused()
    assert [each.services for each in other.export().services] == [1]


def test_the_connections_of_addresses_are_passed_on_with_their_salt() -> None:
    board = Scoreboard(2)
    sketch = board.address_sketch()
    page = board.take_page()
    places = sketch.places(b"a")
    sketch.add(page, places, 1)
    state = board.export()
    assert state.addresses is not None
    kept = replace(state.addresses, descriptor=os.dup(state.addresses.descriptor))
    passed = Scoreboard(2, from_json(ScoreboardState, to_json(_duplicated(replace(state, addresses=kept)))))
    restored = passed.address_sketch()
    assert restored.places(b"a") == places
    assert restored.others(passed.take_page(), places) == 1
    passed.give_back(page)
    assert sketch.others(1 - page, places) == 0


def test_counts_of_addresses_that_another_version_made_end() -> None:
    board = Scoreboard(2)
    board.address_sketch()
    state = board.export()
    assert state.addresses is not None
    read, write = os.pipe()
    other = Scoreboard(2, _duplicated(replace(state, addresses=replace(state.addresses, rows=4, descriptor=write))))
    assert os.fstat(write)
    other.close_unused()
    with open(read, "rb") as end:
        assert end.read() == b"", "the file is closed"
    assert other.export().addresses is None


def test_without_a_limit_no_memory_is_made_for_addresses() -> None:
    board = Scoreboard(2)
    board.give_back(board.take_page())
    assert board.export().addresses is None


def _duplicated(state: ScoreboardState) -> ScoreboardState:
    """Return a state whose files are closed apart from those of the board that it is of."""
    pages = tuple(replace(each, descriptor=os.dup(each.descriptor)) for each in state.pages)
    services = tuple(replace(each, descriptor=os.dup(each.descriptor)) for each in state.services)
    return replace(state, cells_descriptor=os.dup(state.cells_descriptor), pages=pages, services=services)
