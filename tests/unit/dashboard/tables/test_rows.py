"""Rows of the table: sums, order, filter; and columns that make room by rank."""

from __future__ import annotations

import pytest

from documents import document, slot, troubled, worker
from reactorhost.dashboard.tables.columns import ALL, chosen, fitting
from reactorhost.dashboard.tables.rows import Kind, below, master, total
from reactorhost.dashboard.model.view import View
from reactorhost.errors import UsageError


def pids(view: View, **fields: object) -> list[int | None]:
    return [row.pid for row in below(document(3, **fields), view)]


def test_memory_in_all_is_the_sum_of_proportional_sizes() -> None:
    row = total(document(2))
    assert row.values["rss"] == 9_000_000 + 8_000_000 + 8_010_000
    assert row.values["conns"] == 1550 + 1551
    assert row.values["cpu"] == 1.6 + 71.0 + 72.0
    assert row.values["lag"] == pytest.approx(151e-6)


def test_a_sum_of_nothing_known_is_unknown() -> None:
    unknown = document(1, workers=[worker(0, 1, cpu_percent=None, pss_bytes=None, lag_max_seconds=None)])
    unknown["master"].update({"cpu_percent": None, "pss_bytes": None})
    row = total(unknown)
    assert (row.values["cpu"], row.values["rss"]) == (None, None)


def test_the_master_has_no_traffic() -> None:
    assert master(document(1)).values.get("conns") is None


def test_order_is_by_slot_or_any_other_column_and_can_be_turned_round() -> None:
    assert pids(View()) == [4243, 4244, 4245]
    assert pids(View(inverted=True)) == [4245, 4244, 4243]
    assert pids(View(sort="conns")) == [4245, 4244, 4243]
    assert pids(View(sort="conns", inverted=True)) == [4243, 4244, 4245]


def test_what_is_unknown_comes_last_either_way() -> None:
    workers = [worker(0, 1, cpu_percent=None), worker(1, 2, cpu_percent=5.0), worker(2, 3, cpu_percent=9.0)]
    assert pids(View(sort="cpu"), workers=workers) == [3, 2, 1]
    assert pids(View(sort="cpu", inverted=True), workers=workers) == [2, 3, 1]


def test_order_by_state_is_by_name() -> None:
    rows = below(troubled(), View(sort="state"))
    assert [row.state for row in rows[:3]] == ["backoff", "draining", "ready"]


def test_a_slot_without_a_worker_says_what_becomes_of_it() -> None:
    row = next(row for row in below(troubled(), View()) if row.kind is Kind.SLOT)
    assert (row.pid, row.state) == (None, "backoff")
    assert row.note == "next try in 4.0s, served by 4243, last: signal 11 (SIGSEGV)"
    leaving = below(document(1, workers=[], slots=[slot(0, "leaving", adopted_by=7)]), View())
    assert [(row.state, row.note) for row in leaving] == [("leaving", "served by 7")]


@pytest.mark.parametrize(
    ("text", "count"),
    [("drain", 1), ("STUCK", 1), ("slot 5", 2), ("gen 6", 1), ("SIGSEGV", 1), ("424", 7), ("none", 0)],
)
def test_the_filter_looks_at_pid_state_slot_generation_and_words(text: str, count: int) -> None:
    assert len(below(troubled(), View(filter=text))) == count


def test_columns_are_left_out_by_rank() -> None:
    names = {width: [column.name for column in fitting(chosen(()), width)[0]] for width in (120, 80, 60, 40, 10)}
    assert set(names[120]) - set(names[80]) == {"slot", "gen", "acc", "p50"}
    assert set(names[80]) - set(names[60]) == {"restarts", "rx", "tx", "lag"}
    assert names[40] == ["pid", "state", "conns", "msg", "cpu"]
    assert names[10] == ["pid"]


@pytest.mark.parametrize("width", range(1, 301))
def test_columns_fit_any_width_that_has_room_for_one(width: int) -> None:
    columns, gap = fitting(chosen([column.name for column in ALL]), width)
    assert len(columns) == 1 or sum(column.width for column in columns) + gap * (len(columns) - 1) <= width


def test_columns_are_chosen_by_name() -> None:
    assert [column.name for column in chosen(["cpu", "p999", "cpu"])] == ["pid", "cpu", "p999"]
    with pytest.raises(UsageError) as failure:
        chosen(["cpuu"])
    assert failure.value.hint == "did you mean 'cpu'?"
