"""Which process is selected, also after a reload has replaced it."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Page, ProcessKey, View
from reactorhost.dashboard.tables.rows import worker_rows


def selected_process(snapshot: Snapshot, view: View) -> ProcessKey | None:
    """Return the process that the page is about, or that is selected in the table of the workers."""
    if view.page is Page.WORKER and view.focus.process is not None:
        return _successor(snapshot, view.focus.process)
    return selected_row(snapshot, view)


def selected_row(snapshot: Snapshot, view: View) -> ProcessKey | None:
    """Return the key of the selected process, or of its successor."""
    selected = view.table_of(Page.WORKERS).selected
    return _successor(snapshot, selected) if isinstance(selected, ProcessKey) else None


def _successor(snapshot: Snapshot, key: ProcessKey) -> ProcessKey | None:
    """Return the key itself while its process runs, then that of the newest worker of its slot, or of the slot."""
    document = snapshot.body
    if key.pid == document["master"]["pid"]:
        return ProcessKey(None, key.pid)
    workers = {worker["pid"]: ProcessKey(worker["slot"], worker["pid"]) for worker in document["workers"]}
    if key.pid in workers:
        return workers[key.pid]
    # A reload replaces the selected worker: the newest one of its slot is selected in its place.
    successors = [each for each in workers.values() if each.slot == key.slot]
    if successors:
        return successors[-1]
    return ProcessKey(key.slot, None) if key.slot in [slot["slot"] for slot in document["slots"]] else None


def selectable(snapshot: Snapshot, view: View) -> Sequence[ProcessKey]:
    """Return the keys of the rows that can be selected, in the order of the screen."""
    workers = [row.key for row in worker_rows(snapshot.body, view)]
    if view.focus.service is not None:
        # The master serves no clients of a service.
        return workers
    return [ProcessKey(None, snapshot.body["master"]["pid"]), *workers]
