"""The details of a worker and of the master, in sections."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.text import limit_words, silence_words
from reactorhost.dashboard.text.alarm_limits import errors_style
from reactorhost.dashboard.text.bus_words import bus_facts
from reactorhost.dashboard.text.facts import Fact, Section
from reactorhost.dashboard.text.quantities import UNKNOWN, amount, duration, number, rate, span, whole
from reactorhost.dashboard.text.sparkline import sparkline
from reactorhost.dashboard.text.styles import ALARM, FAULT
from reactorhost.ipc.stall import place
from reactorhost.ipc.status import SlotStatus, StatusDocument, WorkerStatus

_TREND_BARS = 30
_TREND_SECONDS = 60


def master_sections(document: StatusDocument) -> Sequence[Section]:
    """Return the details of the master and of the host."""
    master = document["master"]
    bus = document["bus"]
    process: list[Fact] = [
        ("master", f"pid {master['pid']}, {document['state']}, generation {document['generation']}"),
        ("name", document["name"]),
        ("up", duration(document["uptime_seconds"])),
        ("memory", f"RSS {amount(master['rss_bytes'])}, PSS {amount(master['pss_bytes'])}"),
        ("cpu", f"{whole(master['cpu_percent'])} %"),
        ("loop lag", span(master["lag_max_seconds"])),
        ("descriptors", whole(master["descriptors"])),
    ]
    files: list[Fact] = [
        ("run directory", document["run_dir"]),
        ("log", document["log_file"] or "standard error"),
        ("configuration", document["config_file"] or "no file"),
    ]
    # One a line: all four are longer than a narrow screen.
    limits: list[Fact] = [
        *_recycled(document),
        *zip(("limits", "", "", ""), limit_words.counts(document), strict=False),
    ]
    return [
        Section("PROCESS", process),
        Section("FILES", files),
        Section("LIMITS", limits),
        Section("BUS", bus_facts(bus) if bus else ()),
    ]


def _recycled(document: StatusDocument) -> list[Fact]:
    parts = [f"{number(count)} {setting}" for setting, count in document["recycled"].items() if count]
    return [("recycled", ", ".join(parts))] if parts else []


def worker_sections(snapshot: Snapshot, worker: WorkerStatus) -> Sequence[Section]:
    """Return the details of a worker."""
    rates, latency = worker["rates"], worker["latency"]
    tick = worker["tick_age_seconds"]
    last_turn = UNKNOWN if tick is None else f"{duration(tick)} ago"
    errors = f"{rate(rates['hook_errors'])}/s, {worker['hook_errors']:,} in all"
    load: list[Fact] = [
        ("clients", f"{number(worker['connections'])} open, {number(worker['accepted'])} accepted"),
        ("", f"{rate(rates['accepted'])}/s accepted, {rate(rates['refused'])}/s refused, {worker['refused']:,} in all"),
        ("messages", f"{rate(rates['messages'])}/s, {worker['messages']:,} in all"),
        *_trend(snapshot, worker["pid"]),
        ("in", f"{amount(rates['bytes_in'])}/s, {amount(worker['bytes_in'])} in all"),
        ("out", f"{amount(rates['bytes_out'])}/s, {amount(worker['bytes_out'])} in all"),
        ("hook errors", (errors, errors_style(rates["hook_errors"]))),
    ]
    times: list[Fact] = [
        ("receive", f"p50 {span(latency['p50_seconds'])}, p99 {span(latency['p99_seconds'])}"),
        ("", f"p99.9 {span(latency['p999_seconds'])}, max {span(latency['max_seconds'])}"),
        ("loop lag", f"{span(worker['lag_max_seconds'])}, last turn {last_turn}"),
    ]
    return [
        Section("PROCESS", _process(worker)),
        Section("LOAD", load),
        Section("TIMES", times),
        Section("BUS", bus_facts(bus) if (bus := worker["bus"]) else ()),
    ]


def slot_facts(slot: SlotStatus) -> list[Fact]:
    """Return the details of a slot without a worker."""
    facts: list[Fact] = [("slot", str(slot["slot"])), ("state", slot["state"])]
    if slot["retry_seconds"] is not None:
        facts.append(("next try", f"in {duration(slot['retry_seconds'])}"))
    if slot["reason"]:
        facts.append(("reason", (slot["reason"], FAULT)))
    if slot["last_exit"] and slot["last_exit"] != slot["reason"]:
        facts.append(("last exit", slot["last_exit"]))
    facts.append(("restarts", str(slot["restarts"])))
    if slot["adopted_by"] is not None:
        facts.append(("served by", f"pid {slot['adopted_by']}"))
    return facts


def _process(worker: WorkerStatus) -> list[Fact]:
    deadline = worker["deadline_seconds"]
    left = "" if deadline is None else f", {duration(deadline)} left"
    last_exit = f", last exit: {worker['last_exit']}" if worker["last_exit"] else ""
    # The state is the last one that the worker has reported: a silent one does not serve.
    state = f"{worker['state']} for {duration(worker['state_seconds'])}{left}"
    facts: list[Fact] = [
        ("worker", f"slot {worker['slot']}, pid {worker['pid']}, generation {worker['generation']}"),
        ("state", f"silent; reported: {state}" if silence_words.seconds_of(worker) is not None else state),
        *_silence(worker),
        ("up", duration(worker["uptime_seconds"])),
        ("cpu", f"{whole(worker['cpu_percent'])} %, loop busy {whole(worker['busy_percent'])} %"),
        ("memory", f"RSS {amount(worker['rss_bytes'])}, PSS {amount(worker['pss_bytes'])}"),
        ("restarts", f"{worker['restarts']} of this slot{last_exit}"),
    ]
    if worker["adopted_slots"]:
        facts.append(("adopted", f"slot {', '.join(map(str, worker['adopted_slots']))}"))
    return facts


def _silence(worker: WorkerStatus) -> list[Fact]:
    silent, stall = worker["silent_seconds"], worker["stall"]
    facts: list[Fact] = []
    if silent is not None:
        facts.append(("silent", (f"its loop has not turned for {duration(silent)}", ALARM)))
    if words := silence_words.process(worker):
        facts.append(("process", (words, ALARM)))
    if stall is not None:
        where = place(stall["plugin"], stall["hook"], stall["where"], stall["peer"])
        facts.append(("blocked by", (f"{where} for {duration(stall['seconds'])}", ALARM)))
    return facts


def _trend(snapshot: Snapshot, pid: int) -> list[Fact]:
    trends = snapshot.worker_trends
    samples = trends.samples.get(pid, ())
    if len(samples) < 2:
        return []
    bars = sparkline(samples, trends.end, _TREND_BARS, seconds=_TREND_SECONDS)
    return [("", (f"{bars} last minute", ""))]
