"""The keys that change the host: the request of each, and the question that the user confirms first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import HostRequest, Overlay, View
from reactorhost.dashboard.tables.rows import current
from reactorhost.dashboard.text.quantities import counted


def _confirm(view: View, request: HostRequest) -> View:
    return replace(view, overlay=Overlay.CONFIRM, pending=request)


def _reload(view: View, snapshot: Snapshot) -> View:
    document = snapshot.document
    workers = document["workers_wanted"]
    which = "the worker" if workers == 1 else f"all {workers} workers"
    return _confirm(view, HostRequest("reload", f"replace {which} of pid {document['pid']}, {_open(snapshot)}"))


def _recycle(view: View, snapshot: Snapshot) -> View:
    pid = current(snapshot, view)
    worker = next((each for each in snapshot.document["workers"] if each["pid"] == pid), None)
    if pid is None or worker is None:
        return replace(view, notice="select a worker first")
    if worker["state"] != "ready":
        return replace(view, notice=f"worker {worker['slot']} (pid {pid}) is {worker['state']} and cannot be replaced")
    question = f"replace worker {worker['slot']} (pid {pid}), {counted(worker['connections'], 'connection')} open"
    return _confirm(view, HostRequest("recycle", question, (("pid", pid),)))


def _scale(step: int) -> Callable[[View, Snapshot], View]:
    def change(view: View, snapshot: Snapshot) -> View:
        document = snapshot.document
        before = document["workers_wanted"]
        after = before + step
        if after < 1:
            return replace(view, notice="at least one worker must stay")
        question = f"scale from {before} to {after} workers (pid {document['pid']}, {_open(snapshot)})"
        if step < 0:
            question = f"scale from {before} to {after} workers; to be drained: {_leaving(snapshot)}"
        return _confirm(view, HostRequest("scale", question, (("workers", after),)))

    return change


def _leaving(snapshot: Snapshot) -> str:
    """Name the worker that a scale-down drains: that of the highest slot."""
    document = snapshot.document
    wanted = [slot["slot"] for slot in document["slots"] if slot["state"] != "leaving"]
    last = max(wanted, default=0)
    workers = [worker for worker in document["workers"] if worker["slot"] == last and worker["state"] == "ready"]
    if not workers:
        return f"worker {last}, {_open(snapshot)} in all"
    return f"worker {last} (pid {workers[-1]['pid']}), {counted(workers[-1]['connections'], 'connection')} open"


def _open(snapshot: Snapshot) -> str:
    return f"{counted(snapshot.document['totals']['connections'], 'connection')} open"


CONFIRMATIONS: Mapping[str, Callable[[View, Snapshot], View]] = {
    "R": _reload,
    "K": _recycle,
    "+": _scale(1),
    "=": _scale(1),
    "-": _scale(-1),
}
