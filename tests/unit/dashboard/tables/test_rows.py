"""Rows of the worker table: totals, order and filter."""

from __future__ import annotations

from typing import Any, cast

import pytest

from documents import document, slot, troubled, worker
from reactorhost.dashboard.model.view import Page, View
from reactorhost.dashboard.tables.rows import RowKind, master, total, worker_rows


def pids(view: View, **fields: object) -> list[int | None]:
    return [row.pid for row in worker_rows(document(3, **fields), view)]


def test_total_memory_is_the_sum_of_proportional_sizes() -> None:
    row = total(document(2))
    assert row.values["rss"] == 9_000_000 + 8_000_000 + 8_010_000
    assert row.values["clients"] == 1550 + 1551
    assert row.values["cpu"] == 1.6 + 71.0 + 72.0
    assert row.values["lag"] == pytest.approx(151e-6)


def test_a_total_of_unknown_values_is_unknown() -> None:
    unknown = document(1, workers=[worker(0, 1, cpu_percent=None, pss_bytes=None, lag_max_seconds=None)])
    unknown["master"].update({"cpu_percent": None, "pss_bytes": None})
    row = total(unknown)
    assert (row.values["cpu"], row.values["rss"]) == (None, None)


def test_a_total_of_memory_is_unknown_if_the_master_may_not_read_a_worker() -> None:
    of_another_user = worker(0, 1, pss_bytes=None)
    row = total(document(2, workers=[of_another_user, worker(1, 2)]))
    assert (row.values["rss"], row.values["pss"]) == (None, None)


def test_the_master_has_no_traffic() -> None:
    assert master(document(1)).values.get("clients") is None


def test_rows_are_sorted_by_any_column_in_both_directions() -> None:
    assert pids(View()) == [4243, 4244, 4245]
    assert pids(View.of(Page.WORKERS, inverted=True)) == [4245, 4244, 4243]
    assert pids(View.of(Page.WORKERS, sort="clients")) == [4245, 4244, 4243]
    assert pids(View.of(Page.WORKERS, sort="clients", inverted=True)) == [4243, 4244, 4245]


def test_unknown_values_are_last_in_both_directions() -> None:
    workers = [worker(0, 1, cpu_percent=None), worker(1, 2, cpu_percent=5.0), worker(2, 3, cpu_percent=9.0)]
    assert pids(View.of(Page.WORKERS, sort="cpu"), workers=workers) == [3, 2, 1]
    assert pids(View.of(Page.WORKERS, sort="cpu", inverted=True), workers=workers) == [2, 3, 1]


@pytest.mark.parametrize("view", [View(), View.of(Page.WORKERS, sort="slot")])
def test_rows_are_in_the_order_of_the_slots_until_a_column_is_chosen(view: View) -> None:
    assert [row.values["slot"] for row in worker_rows(troubled(), view)] == [0, 1, 2, 3, 4, 5, 5, 6, 7]


def test_states_are_sorted_by_name() -> None:
    rows = worker_rows(troubled(), View.of(Page.WORKERS, sort="state"))
    assert [row.state for row in rows[:3]] == ["backoff", "draining", "ready"]


def test_a_ready_worker_that_cannot_accept_is_full() -> None:
    workers = [worker(0, 1, full=True), worker(1, 2, "draining", full=True)]
    assert [row.state for row in worker_rows(document(2, workers=workers), View())] == ["full", "draining"]


def test_the_leader_is_marked_while_it_is_ready() -> None:
    workers = [worker(0, 1, leader=True), worker(1, 2, leader=True, full=True), worker(2, 3, "draining", leader=True)]
    assert [row.state for row in worker_rows(document(3, workers=workers), View())] == ["leader", "full", "draining"]


def test_a_slot_without_a_worker_has_a_note() -> None:
    row = next(row for row in worker_rows(troubled(), View()) if row.kind is RowKind.SLOT)
    assert (row.pid, row.state) == (None, "backoff")
    assert row.note == "retry in 4.0s, served by 4243, last: signal 11 (SIGSEGV)"
    leaving = worker_rows(document(1, workers=[], slots=[slot(0, "leaving", adopted_by=7)]), View())
    assert [(row.state, row.note) for row in leaving] == [("leaving", "served by 7")]


STALL = {"plugin": "slow", "hook": "receive", "where": "slow.py:15", "peer": "10.0.0.7:4711", "seconds": 18.2}


def test_a_worker_that_boots_for_long_says_in_which_plugin() -> None:
    places = [{"step": "import", "plugin": "chat", "seconds": seconds} for seconds in (2.9, 12.4)]
    made = document(1, workers=[worker(at, at, "starting", boot=each) for at, each in enumerate([*places, None])])
    assert [row.note for row in worker_rows(made, View())] == ["", "importing chat for 12 s", ""]


def test_a_worker_that_a_plugin_holds_says_why() -> None:
    held = worker(0, 1, "draining", holds=[{"plugin": "store", "reason": "the disk is full"}])
    assert [row.note for row in worker_rows(document(1, workers=[held]), View())] == ["held by store: the disk is full"]


@pytest.mark.parametrize(
    ("fields", "state", "note"),
    [
        ({"silent_seconds": 18.2, "stall": STALL}, "silent 18 s", "in slow.receive at slow.py:15 for 10.0.0.7:4711"),
        ({"silent_seconds": 185.0, "leader": True, "full": True}, "silent 3m05s", ""),
        ({"silent_seconds": 1.0, "process_state": "stopped"}, "silent 1 s", "the process is stopped by a signal"),
        (
            {"silent_seconds": 1.0, "process_state": "stopped", "stall": STALL},
            "silent 1 s",
            "the process is stopped by a signal, in slow.receive at slow.py:15 for",
        ),
        ({"silent_seconds": 18.2, "process_state": "sleeping", "stall": STALL}, "silent 18 s", "in slow.receive at"),
        ({"silent_seconds": 9.0, "state": "draining", "stall": STALL}, "silent 9 s", "draining, in slow.receive at"),
        ({"silent_seconds": 31.0, "state": "stuck", "stall": STALL}, "stuck", "in slow.receive at slow.py:15 for"),
        # Below a second.
        ({"stall": STALL}, "ready", ""),
    ],
)
def test_a_worker_that_does_not_turn_is_silent_and_its_row_says_where(
    fields: dict[str, object], state: str, note: str
) -> None:
    made = document(1, workers=[worker(0, 1, **cast("Any", fields)), worker(1, 2)])
    row, well = worker_rows(made, View())
    assert (row.state, well.state) == (state, "ready")
    assert row.note.startswith(note)
    assert bool(row.note) is bool(note)
    assert total(made).state == ("1 silent" if state.startswith("silent") else "")


def test_a_slot_in_back_off_says_why() -> None:
    slots = [slot(0, "backoff", last_exit="exit status 4", reason="plugin 'made' cannot be loaded: no name 'x'")]
    (row,) = worker_rows(document(1, workers=[], slots=slots), View())
    assert row.note == "last: plugin 'made' cannot be loaded: no name 'x'"


@pytest.mark.parametrize(
    ("slot_number", "numbers", "note"),
    [
        (0, {"one": 1, "two": 2, "all": 3}, "served by 12, clients of one and two wait"),
        (1, {"one": 1, "two": 2, "all": 3}, "served by 12, clients of two wait"),
        (0, {"all": 3}, "served by 12"),
        # Sockets that a service gave up when its number became smaller.
        (256, {"one": 1}, "served by 12"),
    ],
)
def test_a_slot_without_a_worker_names_the_services_that_its_adopter_may_not_serve(
    slot_number: int, numbers: dict[str, int], note: str
) -> None:
    made = document(1, workers=[worker(2, 12)], slots=[slot(slot_number, "backoff", adopted_by=12)])
    (service,) = made["services"]
    made["services"] = [cast("Any", {**service, "name": name, "workers": number}) for name, number in numbers.items()]
    assert [row.note for row in worker_rows(made, View()) if row.kind is RowKind.SLOT] == [note]


@pytest.mark.parametrize(
    ("text", "count"),
    [("drain", 1), ("STUCK", 1), ("slot 5", 2), ("gen 6", 1), ("SIGSEGV", 1), ("424", 7), ("none", 0)],
)
def test_the_filter_searches_pid_state_slot_generation_and_note(text: str, count: int) -> None:
    assert len(worker_rows(troubled(), View.of(Page.WORKERS, filter=text))) == count
