"""The page of one process: the details of a worker or of the master, and the events about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Page, ProcessKey, TableState, View
from reactorhost.dashboard.pages.host_keys import RECYCLE, is_of_a_worker
from reactorhost.dashboard.pages.page import Binding, Result, text_page
from reactorhost.dashboard.tables.process_facts import master_sections, slot_facts, worker_sections
from reactorhost.dashboard.tables.process_selection import selectable, selected_process
from reactorhost.dashboard.text.event_lines import event_section
from reactorhost.dashboard.text.facts import Section, fact_lines
from reactorhost.dashboard.text.line import Line, cut, line
from reactorhost.ipc.status import EventStatus


def worker_page(snapshot: Snapshot, view: View, width: int) -> list[Line]:
    """Return the details of the process, and the events about it."""
    key = selected_process(snapshot, view)
    pid = None if key is None else key.pid
    worker = snapshot.worker(pid)
    if pid == snapshot.body["master"]["pid"]:
        lines = fact_lines(master_sections(snapshot.body), width)
    elif worker is not None:
        lines = fact_lines(worker_sections(snapshot, worker), width)
    else:
        return _without_process(snapshot, key, width)
    about = [each for each in snapshot.body["events"] if _is_about(each, key)]
    lines += event_section(about, width, snapshot.body["time"])
    return [cut(each, width) for each in lines]


def _without_process(snapshot: Snapshot, key: ProcessKey | None, width: int) -> list[Line]:
    slot = next((each for each in snapshot.body["slots"] if key is not None and each["slot"] == key.slot), None)
    if slot is None:
        return [line(("this worker has ended", "dim"))]
    about = [each for each in snapshot.body["events"] if key is not None and key.slot in each["slots"]]
    lines = fact_lines([Section("", slot_facts(slot))], width)
    return [*lines, *event_section(about, width, snapshot.body["time"])]


def _is_about(event: EventStatus, key: ProcessKey | None) -> bool:
    """Return whether an event is about a process; of one with repeats, the process ids of some are not known."""
    if key is None:
        return False
    return event["fields"].get("pid") == key.pid or (event["count"] > 1 and key.slot in event["slots"])


def _clients(view: View, snapshot: Snapshot) -> Result:
    key = selected_process(snapshot, view)
    if key is None or key.slot is None:
        return replace(view, notice="the master has no clients"), None
    return view.enter(Page.CLIENTS, "clients", process=key), None


def _beside(step: int) -> Callable[[View, Snapshot], Result]:
    """Show the previous or next process without leaving the page."""

    def change(view: View, snapshot: Snapshot) -> Result:
        keys, key = selectable(snapshot, view), selected_process(snapshot, view)
        at = keys.index(key) + step if key in keys else 0
        beside = keys[max(0, min(at, len(keys) - 1))]
        trail = view.trail
        if trail:
            # The name in the trail is that of the process, and the way back leads to its row.
            tables = trail[-1].tables
            workers = replace(tables.get(Page.WORKERS, TableState()), selected=beside)
            place = replace(trail[-1], label=beside.label, tables={**tables, Page.WORKERS: workers})
            trail = (*trail[:-1], place)
        shown = replace(view, focus=replace(view.focus, process=beside), trail=trail)
        return shown.with_table(scroll=0), None

    return change


PARTS = text_page(
    worker_page,
    bindings=(
        Binding("enter", "clients", "show the clients of the worker", _clients, applies=is_of_a_worker),
        Binding("c", "", "", _clients),
        Binding("left", "", "previous process", _beside(-1)),
        Binding("right", "", "next process", _beside(1)),
        RECYCLE,
    ),
)
