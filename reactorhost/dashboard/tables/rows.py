"""The rows of the worker table: total, master, workers and slots without a worker, filtered and sorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.tables.columns import BY_NAME, Values
from reactorhost.dashboard.text.quantities import duration
from reactorhost.ipc.status import MasterStatus, SlotStatus, StatusDocument, WorkerStatus


class RowKind(Enum):
    """What a row describes."""

    TOTAL = "total"
    MASTER = "master"
    WORKER = "worker"
    SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `note` is a text in place of values."""

    kind: RowKind
    pid: int | None
    state: str
    values: Values
    note: str = ""


def total(document: StatusDocument) -> Row:
    """Return the row of totals.

    The total of RSS is the sum of the proportional sizes: in a sum of RSS, shared pages would count once per process.
    """
    master, workers = document["master"], document["workers"]
    memory = _sum([master["pss_bytes"], *(worker["pss_bytes"] for worker in workers)])
    lags = [master["lag_max_seconds"], *(worker["lag_max_seconds"] for worker in workers)]
    values: dict[str, float | None] = {
        "conns": document["totals"]["connections"],
        **_traffic(document),
        "lag": max((lag for lag in lags if lag is not None), default=None),
        "cpu": _sum([master["cpu_percent"], *(worker["cpu_percent"] for worker in workers)]),
        "rss": memory,
        "pss": memory,
        "restarts": sum(slot["restarts"] for slot in document["slots"]),
    }
    return Row(RowKind.TOTAL, None, "", values)


def master(document: StatusDocument) -> Row:
    """Return the row of the master."""
    values: dict[str, float | None] = {
        **_process(document["master"]),
        "gen": document["generation"],
        "up": document["uptime_seconds"],
    }
    return Row(RowKind.MASTER, document["master"]["pid"], "master", values)


def worker_rows(document: StatusDocument, view: View) -> list[Row]:
    """Return the rows of the workers and of slots without a worker, filtered and sorted by the view."""
    rows = [_worker(worker) for worker in document["workers"]]
    rows += [_slot(slot, document) for slot in document["slots"] if slot["state"] in ("backoff", "leaving")]
    if view.filter:
        wanted = view.filter.casefold()
        rows = [row for row in rows if wanted in _searched(row)]
    return sorted_rows(rows, view.sort, inverted=view.inverted)


def sorted_rows(rows: Iterable[Row], name: str, *, inverted: bool) -> list[Row]:
    """Return the rows sorted by a column, unknown values last, equal values by slot and generation."""
    rows = sorted(rows, key=lambda row: (row.values.get("slot") or 0, row.values.get("gen") or 0, row.pid or 0))
    # Sorting is stable, so the order from above remains among rows of equal values.
    if name == "state":
        return sorted(rows, key=lambda row: row.state, reverse=inverted)
    known = [row for row in rows if row.values.get(name) is not None]
    unknown = [row for row in rows if row.values.get(name) is None]
    known.sort(key=lambda row: row.values[name] or 0, reverse=BY_NAME[name].largest_first is not inverted)
    return known + unknown


def current(snapshot: Snapshot, view: View) -> int | None:
    """Return the selected process id: that of the selected worker, or of its successor in the slot."""
    pids = [worker["pid"] for worker in snapshot.body["workers"]]
    if view.selected in pids or view.selected == snapshot.body["master"]["pid"]:
        return view.selected
    if view.slot is None:
        return None
    # A reload replaces the selected worker: the newest one of its slot is selected in its place.
    successors = [worker["pid"] for worker in snapshot.body["workers"] if worker["slot"] == view.slot]
    return successors[-1] if successors else None


def selectable(snapshot: Snapshot, view: View) -> Sequence[int]:
    """Return the process ids that can be selected, in the order of the screen."""
    rows = worker_rows(snapshot.body, view)
    return [snapshot.body["master"]["pid"], *(row.pid for row in rows if row.pid is not None)]


def uses_bus(document: StatusDocument) -> bool:
    """Return whether a plugin has used the bus; a host of an earlier version has none."""
    return document.get("bus") is not None


def _worker(worker: WorkerStatus) -> Row:
    values: dict[str, float | None] = {
        **_process(worker),
        "slot": worker["slot"],
        "gen": worker["generation"],
        "up": worker["uptime_seconds"],
        "conns": worker["connections"],
        **_traffic(worker),
        "restarts": worker["restarts"],
    }
    state = worker["state"]
    if state == "ready":
        # A recording of an earlier version does not say which one leads.
        state = "full" if worker["full"] else "leader" if worker.get("leader") else state
    return Row(RowKind.WORKER, worker["pid"], state, values)


def _slot(slot: SlotStatus, document: StatusDocument) -> Row:
    notes = []
    if slot["retry_seconds"] is not None:
        notes.append(f"retry in {duration(slot['retry_seconds'])}")
    if slot["adopted_by"] is not None:
        notes.append(f"served by {slot['adopted_by']}")
        if waiting := _not_adopted(slot, document):
            notes.append(f"clients of {' and '.join(waiting)} wait")
    if slot["last_exit"] and slot["state"] == "backoff":
        notes.append(f"last: {slot['last_exit']}")
    values = {"slot": slot["slot"], "restarts": slot["restarts"]}
    return Row(RowKind.SLOT, None, slot["state"], values, ", ".join(notes))


def _not_adopted(slot: SlotStatus, document: StatusDocument) -> list[str]:
    """Return the services of a slot that the worker that has adopted it may not serve."""
    adopters = (worker["slot"] for worker in document["workers"] if worker["pid"] == slot["adopted_by"])
    adopter = next(adopters, slot["slot"])
    # A recording of an earlier version has no numbers: every worker served all services.
    numbers = [(service["name"], service.get("workers", adopter + 1)) for service in document["services"]]
    return [name for name, workers in numbers if slot["slot"] < workers <= adopter]


def _process(process: MasterStatus | WorkerStatus) -> dict[str, float | None]:
    return {
        "pid": process["pid"],
        "lag": process["lag_max_seconds"],
        "cpu": process["cpu_percent"],
        "rss": process["rss_bytes"],
        "pss": process["pss_bytes"],
    }


def _traffic(of: StatusDocument | WorkerStatus) -> dict[str, float | None]:
    rates, latency, bus = of["rates"], of["latency"], of.get("bus")
    return {
        "bus": bus["in_per_second"] + bus["out_per_second"] if bus else None,
        "dropped": bus["dropped_per_second"] if bus else None,
        "acc": rates["accepted"],
        "refused": rates["refused"],
        "rx": rates["bytes_in"],
        "tx": rates["bytes_out"],
        "msg": rates["messages"],
        "errors": rates["hook_errors"],
        "p50": latency["p50_seconds"],
        "p99": latency["p99_seconds"],
        "p999": latency["p999_seconds"],
        "max": latency["max_seconds"],
    }


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of the known values, None if there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _searched(row: Row) -> str:
    places = [f"{name} {row.values[name]}" for name in ("slot", "gen") if row.values.get(name) is not None]
    return " ".join([str(row.pid or ""), row.state, *places, row.note]).casefold()
