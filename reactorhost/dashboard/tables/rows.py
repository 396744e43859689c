"""The rows of the table of workers: total, master, workers and slots without one, filtered and sorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from reactorhost.dashboard.tables.columns import BY_NAME, Values
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.text.quantities import duration
from reactorhost.ipc.status import Latency, SlotStatus, StatusDocument, WorkerStatus


class Kind(Enum):
    """What a row stands for."""

    TOTAL = "total"
    MASTER = "master"
    WORKER = "worker"
    SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `note` is a sentence that stands where there are no figures."""

    kind: Kind
    pid: int | None
    state: str
    values: Values
    note: str = ""


def total(document: StatusDocument) -> Row:
    """Return the sums; that of RSS is of the proportional sizes, or shared pages would count for every worker."""
    master, workers, rates = document["master"], document["workers"], document["rates"]
    memory = _sum([master["pss_bytes"], *(worker["pss_bytes"] for worker in workers)])
    lags = [master["lag_max_seconds"], *(worker["lag_max_seconds"] for worker in workers)]
    values: dict[str, float | None] = {
        "conns": document["totals"]["connections"],
        "acc": rates["accepted"],
        "refused": rates["refused"],
        "rx": rates["bytes_in"],
        "tx": rates["bytes_out"],
        "msg": rates["messages"],
        "errors": rates["hook_errors"],
        **_latency(document["latency"]),
        "lag": max((lag for lag in lags if lag is not None), default=None),
        "cpu": _sum([master["cpu_percent"], *(worker["cpu_percent"] for worker in workers)]),
        "rss": memory,
        "pss": memory,
        "restarts": sum(slot["restarts"] for slot in document["slots"]),
    }
    return Row(Kind.TOTAL, None, "", values)


def master(document: StatusDocument) -> Row:
    """Return the master's row."""
    facts = document["master"]
    values: dict[str, float | None] = {
        "pid": facts["pid"],
        "gen": document["generation"],
        "up": document["uptime_seconds"],
        "lag": facts["lag_max_seconds"],
        "cpu": facts["cpu_percent"],
        "rss": facts["rss_bytes"],
        "pss": facts["pss_bytes"],
    }
    return Row(Kind.MASTER, facts["pid"], "master", values)


def below(document: StatusDocument, view: View) -> list[Row]:
    """Return the rows of workers and of slots without one that the view asks for, in its order."""
    rows = [_worker(worker) for worker in document["workers"]]
    rows += [_slot(slot) for slot in document["slots"] if slot["state"] in ("backoff", "leaving")]
    if view.filter:
        wanted = view.filter.casefold()
        rows = [row for row in rows if wanted in _words(row)]
    return ordered(rows, view.sort, inverted=view.inverted)


def ordered(rows: Iterable[Row], name: str, *, inverted: bool) -> list[Row]:
    """Return rows by a column, what is unknown last, equals by slot and age."""
    rows = sorted(rows, key=lambda row: (row.values.get("slot") or 0, row.values.get("gen") or 0, row.pid or 0))
    if name == "state":
        return sorted(rows, key=lambda row: row.state, reverse=inverted)
    known = [row for row in rows if row.values.get(name) is not None]
    unknown = [row for row in rows if row.values.get(name) is None]
    known.sort(key=lambda row: row.values[name] or 0, reverse=BY_NAME[name].largest_first is not inverted)
    return known + unknown


def current(snapshot: Snapshot, view: View) -> int | None:
    """Return the process id that is selected: of the worker chosen, or of its successor when it is gone."""
    pids = [worker["pid"] for worker in snapshot.workers]
    if view.selected in pids or view.selected == snapshot.body["master"]["pid"]:
        return view.selected
    if view.slot is None:
        return None
    successors = [worker["pid"] for worker in snapshot.workers if worker["slot"] == view.slot]
    return successors[-1] if successors else None


def selectable(snapshot: Snapshot, view: View) -> Sequence[int]:
    """Return the process ids that can be selected, as they stand on the screen."""
    rows = below(snapshot.body, view)
    return [snapshot.body["master"]["pid"], *(row.pid for row in rows if row.pid is not None)]


def _worker(worker: WorkerStatus) -> Row:
    rates = worker["rates"]
    values: dict[str, float | None] = {
        "pid": worker["pid"],
        "slot": worker["slot"],
        "gen": worker["generation"],
        "up": worker["uptime_seconds"],
        "conns": worker["connections"],
        "acc": rates["accepted"],
        "refused": rates["refused"],
        "rx": rates["bytes_in"],
        "tx": rates["bytes_out"],
        "msg": rates["messages"],
        "errors": rates["hook_errors"],
        **_latency(worker["latency"]),
        "lag": worker["lag_max_seconds"],
        "cpu": worker["cpu_percent"],
        "rss": worker["rss_bytes"],
        "pss": worker["pss_bytes"],
        "restarts": worker["restarts"],
    }
    return Row(Kind.WORKER, worker["pid"], worker["state"], values)


def _slot(slot: SlotStatus) -> Row:
    parts = []
    if slot["retry_seconds"] is not None:
        parts.append(f"next try in {duration(slot['retry_seconds'])}")
    if slot["adopted_by"] is not None:
        parts.append(f"served by {slot['adopted_by']}")
    if slot["last_exit"] and slot["state"] == "backoff":
        parts.append(f"last: {slot['last_exit']}")
    values = {"slot": slot["slot"], "restarts": slot["restarts"]}
    return Row(Kind.SLOT, None, slot["state"], values, ", ".join(parts))


def _latency(latency: Latency) -> dict[str, float | None]:
    return {
        "p50": latency["p50_seconds"],
        "p99": latency["p99_seconds"],
        "p999": latency["p999_seconds"],
        "max": latency["max_seconds"],
    }


def _sum(figures: Iterable[float | None]) -> float | None:
    """Return the sum of what is known."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _words(row: Row) -> str:
    places = [f"{name} {row.values[name]}" for name in ("slot", "gen") if row.values.get(name) is not None]
    return " ".join([str(row.pid or ""), row.state, *places, row.note]).casefold()
