"""The rows of the worker table: total, master, workers and slots without a worker, filtered and sorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from reactorhost.dashboard.model.view import Page, ProcessKey, View
from reactorhost.dashboard.tables.columns import BY_NAME, Values
from reactorhost.dashboard.text import silence_words
from reactorhost.dashboard.text.quantities import duration, whole_seconds
from reactorhost.ipc.boot_place import BootPlace
from reactorhost.ipc.hold_reason import HoldReason
from reactorhost.ipc.status import MasterStatus, ServiceStatus, SlotStatus, StatusDocument, WorkerStatus

_LONG_STEP_SECONDS = 3.0
"""A boot that is as fast as usual needs no note."""

# The states of a worker or a slot that serves no clients and should, without the time that may follow the word.
_ILL = ("silent", "stuck", "backoff")


class RowKind(Enum):
    """What a row describes."""

    TOTAL = "total"
    SERVICE = "service"
    MASTER = "master"
    WORKER = "worker"
    SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `note` is a sentence about what is wrong."""

    kind: RowKind
    pid: int | None
    state: str
    values: Values
    note: str = ""

    @property
    def is_sum(self) -> bool:
        """Whether it is about several workers."""
        return self.kind in (RowKind.TOTAL, RowKind.SERVICE)

    @property
    def condition(self) -> str:
        """The state without the time that it has lasted."""
        return self.state.partition(" ")[0]

    @property
    def is_ill(self) -> bool:
        """Whether it serves no clients and should."""
        return self.condition in _ILL

    @property
    def key(self) -> ProcessKey:
        """What identifies the row from one document to the next."""
        slot = self.values.get("slot")
        return ProcessKey(None if slot is None else int(slot), self.pid)


def total(document: StatusDocument) -> Row:
    """Return the row of totals.

    The total of RSS is the sum of the proportional sizes: in a sum of RSS, shared pages would count once per process.
    There is none if one size is not known: a master may not read that of workers of another user.
    """
    master, workers = document["master"], document["workers"]
    memory = _sum_of_all([master["pss_bytes"], *(worker["pss_bytes"] for worker in workers)])
    lags = [master["lag_max_seconds"], *(worker["lag_max_seconds"] for worker in workers)]
    values: dict[str, float | None] = {
        "clients": document["totals"]["connections"],
        **_traffic(document),
        "lag": max((lag for lag in lags if lag is not None), default=None),
        "cpu": _sum([master["cpu_percent"], *(worker["cpu_percent"] for worker in workers)]),
        "rss": memory,
        "pss": memory,
        "restarts": sum(slot["restarts"] for slot in document["slots"]),
    }
    return Row(RowKind.TOTAL, None, _silent(workers), values)


def service_row(document: StatusDocument, service: ServiceStatus) -> Row:
    """Return the row of the totals of a service; what a process needs is not known of each of its services."""
    values: dict[str, float | None] = {
        "clients": service["connections"],
        **_load(service),
        "restarts": sum(slot["restarts"] for slot in document["slots"] if slot["slot"] < service["workers"]),
    }
    workers = [worker for worker in document["workers"] if worker["slot"] < service["workers"]]
    return Row(RowKind.SERVICE, None, _silent(workers), values)


def master(document: StatusDocument) -> Row:
    """Return the row of the master."""
    values: dict[str, float | None] = {
        **_process(document["master"]),
        "gen": document["generation"],
        "up": document["uptime_seconds"],
    }
    return Row(RowKind.MASTER, document["master"]["pid"], "master", values)


def focused_service(document: StatusDocument, view: View) -> ServiceStatus | None:
    """Return the service that the view is restricted to; the workers of the host are then only those that serve it."""
    return next((each for each in document["services"] if each["name"] == view.focus.service), None)


def worker_rows(document: StatusDocument, view: View) -> list[Row]:
    """Return the rows of the workers and of slots without a worker, filtered and sorted by the view."""
    table, service = view.table_of(Page.WORKERS), view.focus.service
    rows = [_worker(worker) for worker in document["workers"]]
    rows += [_slot(slot, document) for slot in document["slots"] if slot["state"] in ("backoff", "leaving")]
    if service is not None:
        # The first slots serve a service that has fewer workers than the host.
        served = next((each["workers"] for each in document["services"] if each["name"] == service), 0)
        rows = [row for row in rows if (row.key.slot or 0) < served]
    if table.filter:
        wanted = table.filter.casefold()
        rows = [row for row in rows if wanted in _searched(row)]
    return sorted_rows(rows, table.sort or "slot", inverted=table.inverted)


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


def uses_bus(document: StatusDocument) -> bool:
    """Return whether a plugin has used the bus."""
    return document["bus"] is not None


def _worker(worker: WorkerStatus) -> Row:
    values: dict[str, float | None] = {
        **_process(worker),
        "slot": worker["slot"],
        "gen": worker["generation"],
        "up": worker["uptime_seconds"],
        "clients": worker["connections"],
        **_traffic(worker),
        "busy": worker["busy_percent"],
        "restarts": worker["restarts"],
    }
    state = worker["state"]
    if state == "ready":
        state = "full" if worker["full"] else "leader" if worker["leader"] else state
    silent, notes = silence_words.seconds_of(worker), []
    if silent is not None:
        # What it does while it drains is worth less than that it does not turn.
        notes = [] if worker["state"] == "ready" else [worker["state"]]
        state = f"silent {whole_seconds(silent)}"
    if silent is not None or worker["state"] == "stuck":
        notes += filter(None, [silence_words.where(worker)])
    boot = worker["boot"]
    if boot is not None and boot["seconds"] >= _LONG_STEP_SECONDS:
        notes.append(f"{BootPlace(boot['step'], boot['plugin'], 0.0)} for {whole_seconds(boot['seconds'])}")
    # A recording may be of an earlier version.
    notes += [str(HoldReason(hold["plugin"], hold["reason"])) for hold in worker.get("holds", ())]
    return Row(RowKind.WORKER, worker["pid"], state, values, ", ".join(notes))


def _slot(slot: SlotStatus, document: StatusDocument) -> Row:
    notes = []
    if slot["retry_seconds"] is not None:
        notes.append(f"retry in {duration(slot['retry_seconds'])}")
    if slot["adopted_by"] is not None:
        notes.append(f"served by {slot['adopted_by']}")
        if waiting := _not_adopted(slot, document):
            notes.append(f"clients of {' and '.join(waiting)} wait")
    if slot["state"] == "backoff" and (reason := slot["reason"] or slot["last_exit"]):
        notes.append(f"last: {reason}")
    values = {"slot": slot["slot"], "restarts": slot["restarts"]}
    return Row(RowKind.SLOT, None, slot["state"], values, ", ".join(notes))


def _not_adopted(slot: SlotStatus, document: StatusDocument) -> list[str]:
    """Return the services of a slot that the worker that has adopted it may not serve."""
    adopters = (worker["slot"] for worker in document["workers"] if worker["pid"] == slot["adopted_by"])
    adopter = next(adopters, slot["slot"])
    return [each["name"] for each in document["services"] if slot["slot"] < each["workers"] <= adopter]


def _process(process: MasterStatus | WorkerStatus) -> dict[str, float | None]:
    return {
        "pid": process["pid"],
        "lag": process["lag_max_seconds"],
        "cpu": process["cpu_percent"],
        "rss": process["rss_bytes"],
        "pss": process["pss_bytes"],
    }


def _traffic(of: StatusDocument | WorkerStatus) -> dict[str, float | None]:
    bus = of["bus"]
    return {
        "bus": bus["in_per_second"] + bus["out_per_second"] if bus else None,
        "dropped": bus["dropped_per_second"] if bus else None,
        **_load(of),
    }


def _load(of: StatusDocument | ServiceStatus | WorkerStatus) -> dict[str, float | None]:
    rates, latency = of["rates"], of["latency"]
    return {
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


def _silent(workers: Iterable[WorkerStatus]) -> str:
    silent = sum(silence_words.seconds_of(worker) is not None for worker in workers)
    return f"{silent} silent" if silent else ""


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of the known values, None if there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of_all(values: Sequence[float | None]) -> float | None:
    """Return the sum of the values, None if one is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _searched(row: Row) -> str:
    places = [f"{name} {row.values[name]}" for name in ("slot", "gen") if row.values.get(name) is not None]
    return " ".join([str(row.pid or ""), row.state, *places, row.note]).casefold()
