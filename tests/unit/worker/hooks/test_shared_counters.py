"""Shared counters of several workers: exact sums, also while requests wait, and when a page gets another worker."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.shared_cells import MOST_SHARED_COUNTERS
from reactorhost.master.stats.shared_counters import SharedCounterRows
from reactorhost.worker.hooks.shared_counters import SharedCounters, counters_without_host


class Host:
    """A master's rows, and workers whose reports and orders travel when a test says so."""

    def __init__(self, pages: int = 4) -> None:
        self.board = Scoreboard(pages)
        self.workers: dict[int, SharedCounters] = {}
        self.reports: list[tuple[int, Message]] = []
        self.log = Mock()
        pool: Any = Mock(reactor=Mock(now=1000.0), scoreboard=self.board, order=self.order)
        self.rows = SharedCounterRows(pool, self.log)

    def start(self) -> int:
        page = self.board.take_page()

        def report(message: Message) -> None:
            self.reports.append((page, message))

        self.workers[page] = SharedCounters(self.board.shared_cells, page, report)
        return page

    def end(self, page: int) -> None:
        del self.workers[page]
        self.reports = [each for each in self.reports if each[0] != page]
        self.board.give_back(page)

    def answer(self) -> None:
        while self.reports:
            self.rows.requested(*self.reports.pop(0))

    def order(self, page: int, message: Message) -> None:
        assert message.pop("order") == "shared_counter"
        self.workers[page].assign(**message)


def test_workers_and_master_see_the_sum_over_all_workers() -> None:
    host = Host()
    first, second = (host.workers[host.start()].get("made", "hits") for _ in range(2))
    host.answer()
    first.add()
    second.add(4)
    assert first.value == second.value == 5
    assert host.rows.of("made") == {"hits": 5}
    assert host.rows.of("other") == {}


def test_a_plugin_gets_one_counter_for_a_name_and_each_plugin_its_own() -> None:
    host = Host()
    page = host.start()
    hits = host.workers[page].get("made", "hits")
    assert host.workers[page].get("made", "hits") is hits
    other = host.workers[page].get("other", "hits")
    assert len(host.reports) == 2
    host.answer()
    hits.add(2)
    assert (hits.name, hits.value, other.value) == ("hits", 2, 0)
    assert repr(hits) == "<SharedCounter hits 2>"


def test_what_is_added_before_the_row_is_known_is_kept() -> None:
    host = Host()
    early, late = (host.workers[host.start()].get("made", "hits") for _ in range(2))
    early.add(3)
    assert (early.value, late.value) == (3, 0)
    host.answer()
    assert (early.value, late.value) == (3, 3)


def test_the_next_worker_of_a_page_continues_from_the_numbers_of_the_last_one() -> None:
    host = Host()
    page = host.start()
    hits = host.workers[page].get("made", "hits")
    host.answer()
    hits.add(5)
    host.end(page)
    assert host.rows.of("made") == {"hits": 5}
    assert host.start() == page
    hits = host.workers[page].get("made", "hits")
    hits.add(1)
    host.answer()
    hits.add(1)
    assert hits.value == 7
    assert host.rows.of("made") == {"hits": 7}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["start", "end", "add", "answer"]), st.integers(0, 9)), max_size=60))
def test_a_sum_is_what_was_added_with_a_row_however_workers_come_and_go(steps: list[tuple[str, int]]) -> None:
    host = Host()
    counted: dict[int, int] = {}
    waiting: dict[int, int] = {}
    ended = 0
    for step, number in steps:
        pages = list(host.workers)
        if step == "start" and len(pages) < 4:
            page = host.start()
            host.workers[page].get("made", "hits")
            waiting[page] = counted[page] = 0
        elif step == "end" and pages:
            page = pages[number % len(pages)]
            host.end(page)
            ended += counted.pop(page)
            waiting.pop(page)
        elif step == "add" and pages:
            page = pages[number % len(pages)]
            host.workers[page].get("made", "hits").add(number)
            (waiting if any(each == page for each, _ in host.reports) else counted)[page] += number
        elif step == "answer":
            host.answer()
            for page, added in waiting.items():
                counted[page] += added
                waiting[page] = 0
        assert host.rows.of("made").get("hits", 0) == ended + sum(counted.values())


@pytest.mark.parametrize("n", [-1, 2**63, 2**63 - 5])
def test_a_number_that_does_not_fit_raises_value_error_and_adds_nothing(n: int) -> None:
    hits = counters_without_host().get("made", "hits")
    hits.add(5)
    with pytest.raises(ValueError, match=r"counter 'hits' is at 5 in this worker, and cannot grow by"):
        hits.add(n)
    assert hits.value == 5
    hits.add(2**63 - 6)
    assert hits.value == 2**63 - 1


@pytest.mark.parametrize("n", [1.0, float("nan"), "1", None, Fraction(1, 2)], ids=repr)
@pytest.mark.parametrize("new", [counters_without_host, lambda: SharedCounters(Mock(), 0, Mock())])
def test_what_is_not_a_whole_number_raises_type_error(new: Callable[[], SharedCounters], n: Any) -> None:
    hits = new().get("made", "hits")
    with pytest.raises(TypeError):
        hits.add(n)
    assert hits.value == 0
    hits.add(True)
    assert hits.value == 1


def test_a_counter_beyond_the_hosts_limit_counts_in_its_worker_alone() -> None:
    host = Host()
    first, second = host.start(), host.start()
    for number in range(MOST_SHARED_COUNTERS - 1):
        host.workers[first].get("made", f"n{number}")
    host.answer()
    fits = host.workers[second].get("made", "fits")
    refused = [host.workers[second].get("made", f"more{number}") for number in range(2)]
    host.answer()
    for each in (fits, *refused):
        each.add(2)
    assert [each.value for each in refused] == [2, 2]
    assert host.rows.of("made")["fits"] == 2
    assert "more0" not in host.rows.of("made")
    # One line a minute, however many names a plugin makes.
    (logged,) = host.log.warning.call_args_list
    assert logged.args == ("shared_counter_refused",)
    assert (logged.kwargs["counter"], logged.kwargs["limit"]) == ("more0", 128)
    # A worker that had one refused still gets those that the host has.
    known = host.workers[second].get("made", "n7")
    host.workers[first].get("made", "n7").add(3)
    host.answer()
    assert known.value == 3


def test_a_worker_that_has_all_counters_itself_raises_without_a_request() -> None:
    counters = counters_without_host()
    for number in range(MOST_SHARED_COUNTERS):
        counters.get("made", f"n{number}").add(number)
    with pytest.raises(ValueError, match="a shared counter 'more' would exceed the limit of 128 per host"):
        counters.get("other", "more")
    assert counters.values("made") == {f"n{number}": number for number in range(MOST_SHARED_COUNTERS)}
    assert counters.values("other") == {}


def test_a_forked_child_does_not_write_to_the_cells_of_its_worker() -> None:
    counters = counters_without_host()
    hits = counters.get("made", "hits")
    hits.add(3)
    cells = list(counters._cells.cells)
    counters.abandon()
    hits.add(2)
    assert hits.value == 5
    assert list(counters._cells.cells) == cells
