"""The pages: what the live view shows below the header, for a width and a height in cells."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import ConnectionRow, Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.tables.listener_table import listener_table
from reactorhost.dashboard.tables.plugin_table import hook_chain, last_error, plugin_metrics
from reactorhost.dashboard.tables.rows import current
from reactorhost.dashboard.tables.worker_table import needed_height, worker_table
from reactorhost.dashboard.text import limit_words
from reactorhost.dashboard.text.bus_words import bus_facts
from reactorhost.dashboard.text.event_sentences import event_line, event_section, sentence
from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import EMPTY, Line, cut, line
from reactorhost.dashboard.text.quantities import UNKNOWN, amount, duration, number, rate, span, whole
from reactorhost.ipc.status import StatusDocument

# The least height for events and the hook chain below the worker table.
_ROOMY = 11
_LEAST_EVENTS = 3
_CHAIN_FROM_WIDTH = 100
_CONNECTION_FIELDS: Sequence[Field[ConnectionRow]] = (
    Field("ID", 9, lambda row: str(row["id"])),
    Field("PEER", 24, lambda row: str(row["peer"]), left=True),
    Field("AGE", 6, lambda row: duration(row["age_seconds"])),
    Field("IDLE", 6, lambda row: duration(row["idle_seconds"])),
    Field("IN", 6, lambda row: amount(row["bytes_in"]), from_width=60),
    Field("OUT", 6, lambda row: amount(row["bytes_out"]), from_width=60),
    Field("QUEUED", 7, lambda row: _queued(row["queued_bytes"]), from_width=50),
    Field("STATE", 9, lambda row: str(row["state"]), left=True, from_width=87),
    Field("SERVICE", 12, lambda row: str(row["service"]), left=True, from_width=100),
)


def workers_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the worker table and, as far as they fit below it, the hook chain and events."""
    if height < _ROOMY:
        return worker_table(snapshot, view, width, height)
    needed = needed_height(snapshot, view)
    events = min(_LEAST_EVENTS, len(snapshot.body["events"]))
    events_rows = events + 2 if events else 0
    has_chain = width >= _CHAIN_FROM_WIDTH and snapshot.body["plugins"]
    chain = [EMPTY, *hook_chain(snapshot.body, width)] if has_chain else []
    if needed + events_rows + len(chain) > height:
        # Events matter more: they name what goes wrong.
        chain = []
    table = worker_table(snapshot, view, width, min(needed, height - events_rows))
    room = height - len(table) - len(chain) - 2
    shown = snapshot.body["events"][-room:] if room > 0 else []
    return [*table, *chain, *event_section(shown, width)]


def connections_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the connections of the selected worker."""
    pid = current(snapshot, view)
    worker = snapshot.process(pid)
    if worker is None:
        return [line(("select a worker with the left and right arrow keys", "dim"))]
    head = f"worker {worker['slot']} (pid {pid})"
    found = snapshot.connections
    if snapshot.link.source:
        return [line(f"{head}: ", ("a recording has no connections", "dim"))]
    if found.pid != pid:
        return [line(f"{head}: ", ("waiting for its connections", "dim"))]
    if found.unanswered:
        return [line(f"{head}: ", ("did not answer in time", "yellow"))]
    rows = [row for row in found.rows if view.filter.casefold() in str(row["peer"]).casefold()]
    of_all = f" of {number(len(found.rows))}" if view.filter else ""
    title = line(f"{head}: {number(len(rows))}{of_all} connection{'' if len(found.rows) == 1 else 's'}")
    start = min(view.scroll, max(0, len(rows) - (height - 2)))
    shown = rows[start : start + max(height - 2, 0)]
    return [title, *grid(_CONNECTION_FIELDS, shown, width)]


def plugins_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the tables of the plugins and of the listening sockets."""
    failed = [plugin for plugin in snapshot.body["plugins"] if plugin["last_error"] is not None]
    lines = hook_chain(snapshot.body, width)
    # Once more on a line of its own: the last column of the table has room for its beginning only.
    lines += [cut(line(f"{plugin['name']}: ", last_error(plugin)), width) for plugin in failed]
    if metrics := plugin_metrics(snapshot.body["plugins"], width):
        lines += [EMPTY, *metrics]
    lines += [EMPTY, *listener_table(snapshot.body["listeners"], width)]
    start = max(0, min(view.scroll, len(lines) - height))
    return lines[start:]


def events_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the events that fit, the newest last."""
    events = [each for each in snapshot.body["events"] if view.filter.casefold() in sentence(each).casefold()]
    if not events:
        return [line(("no events yet" if not view.filter else "no event matches the filter", "dim"))]
    stop = max(min(height, len(events)), len(events) - view.scroll)
    return [event_line(each, width) for each in events[max(0, stop - height) : stop]]


def worker_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the details of the selected process, and the events about it."""
    pid = current(snapshot, view)
    facts = _master_facts(snapshot.body) if pid == snapshot.body["master"]["pid"] else _worker_facts(snapshot, pid)
    if not facts:
        return [line(("this worker has ended", "dim"))]
    lines = [line((f"{name:<14}", "dim"), value) for name, value in facts]
    about = [each for each in snapshot.body["events"] if each["fields"].get("pid") == pid]
    room = height - len(lines) - 2
    if room > 0:
        lines += event_section(about[-room:], width)
    return [cut(each, width) for each in lines]


Facts = list[tuple[str, str]]


def _master_facts(document: StatusDocument) -> Facts:
    master = document["master"]
    bus = document.get("bus")
    return [
        ("master", f"pid {master['pid']}, {document['state']}, generation {document['generation']}"),
        ("name", document["name"]),
        ("up", duration(document["uptime_seconds"])),
        ("memory", f"RSS {amount(master['rss_bytes'])}, PSS {amount(master['pss_bytes'])}"),
        ("cpu", f"{whole(master['cpu_percent'])} %"),
        ("loop lag", span(master["lag_max_seconds"])),
        ("descriptors", whole(master["descriptors"])),
        ("run directory", document["run_dir"]),
        ("log", document["log_file"] or "standard error"),
        ("configuration", document["config_file"] or "no file"),
        *_recycled(document),
        # One a line: all four are longer than a narrow screen.
        *zip(("limits", "", "", ""), limit_words.counts(document), strict=False),
        *(bus_facts(bus) if bus else []),
    ]


def _recycled(document: StatusDocument) -> Facts:
    # Earlier versions, and recordings of them, have no such field.
    counts = document.get("recycled", {})
    parts = [f"{number(count)} {setting}" for setting, count in counts.items() if count]
    return [("recycled", ", ".join(parts))] if parts else []


def _worker_facts(snapshot: Snapshot, pid: int | None) -> Facts:
    worker = snapshot.process(pid)
    if worker is None:
        return []
    rates, latency = worker["rates"], worker["latency"]
    deadline = worker["deadline_seconds"]
    state = f"{worker['state']} for {duration(worker['state_seconds'])}"
    tick = worker["tick_age_seconds"]
    last_turn = UNKNOWN if tick is None else f"{duration(tick)} ago"
    last_exit = f", last exit: {worker['last_exit']}" if worker["last_exit"] else ""
    facts = [
        ("worker", f"slot {worker['slot']}, pid {pid}, generation {worker['generation']}"),
        ("state", state if deadline is None else f"{state}, {duration(deadline)} left"),
        ("up", duration(worker["uptime_seconds"])),
        ("connections", f"{number(worker['connections'])} open, {number(worker['accepted'])} accepted"),
        ("", f"{rate(rates['accepted'])}/s accepted, {rate(rates['refused'])}/s refused, {worker['refused']:,} in all"),
        ("messages", f"{rate(rates['messages'])}/s, {worker['messages']:,} in all"),
        ("in", f"{amount(rates['bytes_in'])}/s, {amount(worker['bytes_in'])} in all"),
        ("out", f"{amount(rates['bytes_out'])}/s, {amount(worker['bytes_out'])} in all"),
        ("receive", f"p50 {span(latency['p50_seconds'])}, p99 {span(latency['p99_seconds'])}"),
        ("", f"p99.9 {span(latency['p999_seconds'])}, max {span(latency['max_seconds'])}"),
        ("hook errors", f"{rate(rates['hook_errors'])}/s, {worker['hook_errors']:,} in all"),
        ("loop lag", f"{span(worker['lag_max_seconds'])}, last turn {last_turn}"),
        ("cpu", f"{whole(worker['cpu_percent'])} %"),
        ("memory", f"RSS {amount(worker['rss_bytes'])}, PSS {amount(worker['pss_bytes'])}"),
        ("restarts", f"{worker['restarts']} of this slot{last_exit}"),
    ]
    facts += bus_facts(bus) if (bus := worker.get("bus")) else []
    if worker["adopted_slots"]:
        facts.append(("adopted", f"slot {', '.join(map(str, worker['adopted_slots']))}"))
    return facts


def _queued(count: int) -> Cell:
    return (amount(count), "yellow") if count else "0"
