"""The keys that change the host: the user confirms a question before the request is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, View
from reactorhost.dashboard.pages.page import Binding, Result
from reactorhost.dashboard.tables.process_selection import selected_process
from reactorhost.dashboard.text.quantities import counted


def ask(view: View, request: HostRequest) -> Result:
    """Return the view with the question of a request, which is sent after a `y`."""
    return replace(view, overlay=Overlay.CONFIRM, pending=request), None


def _reload(view: View, snapshot: Snapshot) -> Result:
    document = snapshot.document
    # Of the newest document, not of the paused body: the question names what will happen now.
    workers = document["workers_wanted"]
    which = "the worker" if workers == 1 else f"all {workers} workers"
    return ask(view, HostRequest("reload", f"replace {which} of pid {document['pid']}, {_open(snapshot)}"))


def is_of_a_worker(view: View, snapshot: Snapshot) -> bool:
    """Return whether a key that is about a worker has an effect, or would have one after a row is selected."""
    key = selected_process(snapshot, view)
    return key is None or key.slot is not None


def _recycle(view: View, snapshot: Snapshot) -> Result:
    key = selected_process(snapshot, view)
    pid = None if key is None else key.pid
    worker = next((each for each in snapshot.document["workers"] if each["pid"] == pid), None)
    if pid is None or worker is None:
        return replace(view, notice="select a worker first"), None
    if worker["state"] != "ready":
        notice = f"worker {worker['slot']} (pid {pid}) is {worker['state']} and cannot be replaced"
        return replace(view, notice=notice), None
    question = f"replace worker {worker['slot']} (pid {pid}), {counted(worker['connections'], 'connection')} open"
    return ask(view, HostRequest("recycle", question, (("pid", pid),)))


def _scale(step: int) -> Callable[[View, Snapshot], Result]:
    def change(view: View, snapshot: Snapshot) -> Result:
        document = snapshot.document
        before = document["workers_wanted"]
        after = before + step
        if after < 1:
            return replace(view, notice="at least one worker must stay"), None
        question = f"scale from {before} to {after} workers (pid {document['pid']}, {_open(snapshot)})"
        if step < 0:
            question = f"scale from {before} to {after} workers; to be drained: {_leaving(snapshot)}"
        scaling = document["scaling"]
        if scaling and scaling["automatic"]:
            question += "; the number then does not follow the load any more"
        return ask(view, HostRequest("scale", question, (("workers", after),)))

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


RECYCLE = Binding(
    "K", "recycle", "recycle: replace the selected worker", _recycle, changes=True, applies=is_of_a_worker
)
EVERYWHERE: Sequence[Binding] = (
    Binding("R", "reload", "reload: replace all workers, one after the other", _reload, changes=True),
    Binding("+", "worker more", "scale: one worker more", _scale(1), changes=True),
    Binding("=", "", "", _scale(1), changes=True),
    Binding("-", "worker less", "scale: one worker less", _scale(-1), changes=True),
)
"""The keys that change the host on every page."""
