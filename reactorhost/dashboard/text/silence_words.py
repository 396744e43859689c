"""How a worker whose loop does not turn is shown: for how long, and what holds it as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping

from reactorhost.dashboard.text.line import Line, line
from reactorhost.dashboard.text.styles import ALARM, WARN
from reactorhost.ipc.stall import place
from reactorhost.ipc.status import StatusDocument, WorkerStatus

_STOPPED = "stopped"
_WITHOUT_A_PLACE: Mapping[str, str] = {
    _STOPPED: "the process is stopped by a signal",
    "running": "runs code in which the watchdog sees no line, such as a C library",
    "sleeping": "waits in a system call",
    "disk": "waits for a disk or a network file system",
}


def seconds_of(worker: WorkerStatus) -> float | None:
    """Return how long a worker is silent, or None; the host ends a stuck one, which is a state of its own."""
    return worker["silent_seconds"] if worker["state"] != "stuck" else None


def where(worker: WorkerStatus) -> str:
    """Return where a worker hangs: `in slow.receive at slow.py:15 for 10.0.0.7:4711`; empty if nothing is known."""
    stall, known = worker["stall"], [process(worker)]
    if stall is not None:
        known.append(f"in {place(stall['plugin'], stall['hook'], stall['where'], stall['peer'])}")
    return ", ".join(filter(None, known))


def process(worker: WorkerStatus) -> str:
    """Return what the kernel says of the process of a silent worker, if that is why it hangs; empty if it is not."""
    state = worker["process_state"] or ""
    # A process that is stopped in a hook does not hang because of the hook. Otherwise the hook says more.
    return _WITHOUT_A_PLACE.get(state, "") if worker["stall"] is None or state == _STOPPED else ""


def ready(document: StatusDocument) -> Line:
    """Return how many workers serve, and how many of them do not turn: `3/4 ready, 1 silent`."""
    silent = sum(seconds_of(worker) is not None for worker in document["workers"])
    count, wanted = document["workers_ready"], document["workers_wanted"]
    counted = line((f"{count}/{wanted} ready", "" if count == wanted else WARN))
    return (*counted, *line(", ", (f"{silent} silent", ALARM))) if silent else counted
