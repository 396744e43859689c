"""The pages beside the table of workers: connections, plugins with listeners, events, and one worker in detail."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.live.header import clock
from reactorhost.dashboard.tables.rows import current
from reactorhost.dashboard.model.snapshot import ConnectionRow, Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.text.event_sentences import sentence
from reactorhost.dashboard.text.quantities import UNKNOWN, amount, duration, exact, number, percent, rate, span
from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import Line, Piece, cut, line, width_of
from reactorhost.ipc.status import EventStatus, ListenerStatus, PluginMetricsStatus, StatusDocument

LEVEL_STYLES = {"error": "red", "critical": "bold red", "warning": "yellow"}

_CONNECTION_FIELDS = (
    Field("ID", 9),
    Field("PEER", 24, left=True),
    Field("AGE", 6),
    Field("IDLE", 6),
    Field("IN", 6, from_width=60),
    Field("OUT", 6, from_width=60),
    Field("PENDING", 7, from_width=50),
    Field("STATE", 9, left=True, from_width=75),
    Field("SERVICE", 12, left=True, from_width=100),
)
_PLUGIN_FIELDS = (
    Field("HOOK CHAIN", 28, left=True),
    Field("connect/s", 9, from_width=100),
    Field("receive/s", 9),
    Field("close/s", 7, from_width=100),
    Field("P50", 5, from_width=80),
    Field("P99", 5, from_width=50),
    Field("TIME%", 5, from_width=60),
    Field("ERR/s", 5, from_width=70),
    Field("LAST ERROR", 10, left=True, from_width=70),
)
_LISTENER_FIELDS = (
    Field("LISTENER", 32, left=True),
    Field("SLOT", 4),
    Field("QUEUE", 6),
    Field("LIMIT", 6, from_width=60),
    Field("DROPPED", 7, from_width=60),
    Field("SERVICE", 12, left=True, from_width=75),
)


def connections_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the connections of the selected worker."""
    pid = current(snapshot, view)
    worker = snapshot.process(pid)
    if worker is None:
        return [line(("select a worker with the arrows left and right to see its connections", "dim"))]
    head = f"worker {worker['slot']} (pid {pid})"
    told = snapshot.connections
    if snapshot.link.source:
        return [line(f"{head}: ", ("a recording has no connections", "dim"))]
    if told.pid != pid:
        return [line(f"{head}: ", ("asking for its connections", "dim"))]
    if told.unanswered:
        return [line(f"{head}: ", ("did not answer in time", "yellow"))]
    rows = [row for row in told.rows if view.filter.casefold() in str(row["peer"]).casefold()]
    of_all = f" of {number(len(told.rows))}" if view.filter else ""
    title = line(f"{head}: {number(len(rows))}{of_all} connection{'' if len(told.rows) == 1 else 's'}")
    start = min(view.scroll, max(0, len(rows) - (height - 2)))
    some = rows[start : start + max(height - 2, 0)]
    return [title, *grid(_CONNECTION_FIELDS, [_connection(row) for row in some], width)]


def plugins_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return what every plugin does, and every listening socket."""
    failed = [plugin for plugin in snapshot.body["plugins"] if plugin["last_error"] is not None]
    found = hook_chain(snapshot.body, width)
    # In whole: beside the figures there is hardly room for the beginning.
    found += [cut(line(f"{plugin['name']}: ", _last_error(plugin)), width) for plugin in failed]
    if numbers := own_numbers(snapshot.body["plugins"], width):
        found += [(), *numbers]
    found += [(), *listeners(snapshot.body["listeners"], width)]
    start = max(0, min(view.scroll, len(found) - height))
    return found[start:]


def hook_chain(document: StatusDocument, width: int) -> list[Line]:
    """Return headings and a line for every plugin, in calling order."""
    several = len(document["services"]) > 1
    rows = [_plugin(at, plugin, several=several) for at, plugin in enumerate(document["plugins"], 1)]
    return grid(_PLUGIN_FIELDS, rows, width)


def own_numbers(plugins: Sequence[PluginMetricsStatus], width: int) -> list[Line]:
    """Return a heading and the numbers of every plugin that has some, on as many lines as they need."""
    having = [plugin for plugin in plugins if plugin.get("stats")]
    if not having:
        return []
    return [line(("NUMBERS", "dim")), *(each for plugin in having for each in _numbers_of(plugin, width))]


def _numbers_of(plugin: PluginMetricsStatus, width: int) -> list[Line]:
    found: list[Line] = []
    current_line = line(f"{plugin['name']}:")
    for name, value in plugin["stats"].items():
        added = line("  ", (name, "dim"), f" {exact(value)}")
        if width_of(current_line) + width_of(added) > width:
            found.append(current_line)
            current_line = ()
        current_line += added
    return [cut(each, width) for each in (*found, current_line)]


def listeners(sockets: Sequence[ListenerStatus], width: int) -> list[Line]:
    """Return headings and a line for every listening socket."""
    return grid(_LISTENER_FIELDS, [_listener(each) for each in sockets], width)


def events_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return what happened, the newest last, all that fits."""
    events = [each for each in snapshot.body["events"] if view.filter.casefold() in sentence(each).casefold()]
    if not events:
        return [line(("nothing happened yet" if not view.filter else "nothing matches the filter", "dim"))]
    stop = max(min(height, len(events)), len(events) - view.scroll)
    return [event_line(each, width) for each in events[max(0, stop - height) : stop]]


def event_line(event: EventStatus, width: int) -> Line:
    """Return when and what."""
    style = LEVEL_STYLES.get(event["level"], "")
    return cut(line((clock(event["time"]), "dim"), " ", (sentence(event), style)), width)


def worker_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return everything that is known of the selected process."""
    pid = current(snapshot, view)
    facts = _master_facts(snapshot.body) if pid == snapshot.body["master"]["pid"] else _worker_facts(snapshot, pid)
    if not facts:
        return [line(("this worker is gone", "dim"))]
    found = [line((f"{name:<14}", "dim"), value) for name, value in facts]
    about = [each for each in snapshot.body["events"] if each["fields"].get("pid") == pid]
    if about and height > len(found) + 2:
        found += [(), line(("EVENTS", "dim"))]
        found += [event_line(each, width) for each in about[-(height - len(found)) :]]
    return [cut(each, width) for each in found]


Facts = list[tuple[str, str]]


def _master_facts(document: StatusDocument) -> Facts:
    master = document["master"]
    descriptors = master["descriptors"]
    return [
        ("master", f"pid {master['pid']}, {document['state']}, generation {document['generation']}"),
        ("name", document["name"]),
        ("up", duration(document["uptime_seconds"])),
        ("memory", f"RSS {amount(master['rss_bytes'])}, PSS {amount(master['pss_bytes'])}"),
        ("cpu", f"{percent(master['cpu_percent'])} %"),
        ("loop lag", span(master["lag_max_seconds"])),
        ("descriptors", UNKNOWN if descriptors is None else str(descriptors)),
        ("run directory", document["run_dir"]),
        ("log", document["log_file"] or "standard error"),
        ("configuration", document["config_file"] or "no file"),
    ]


def _worker_facts(snapshot: Snapshot, pid: int | None) -> Facts:
    worker = snapshot.process(pid)
    if worker is None:
        return []
    rates, latency = worker["rates"], worker["latency"]
    patience = worker["deadline_seconds"]
    state = f"{worker['state']} for {duration(worker['state_seconds'])}"
    tick = worker["tick_age_seconds"]
    facts = [
        ("worker", f"slot {worker['slot']}, pid {pid}, generation {worker['generation']}"),
        ("state", state if patience is None else f"{state}, at most {duration(patience)} more"),
        ("up", duration(worker["uptime_seconds"])),
        ("connections", f"{number(worker['connections'])} open, {number(worker['accepted'])} accepted"),
        ("", f"{rate(rates['accepted'])}/s accepted, {rate(rates['refused'])}/s refused, {worker['refused']:,} in all"),
        ("messages", f"{rate(rates['messages'])}/s, {worker['messages']:,} in all"),
        ("in", f"{amount(rates['bytes_in'])}/s, {amount(worker['bytes_in'])} in all"),
        ("out", f"{amount(rates['bytes_out'])}/s, {amount(worker['bytes_out'])} in all"),
        ("receive", f"p50 {span(latency['p50_seconds'])}, p99 {span(latency['p99_seconds'])}"),
        ("", f"p99.9 {span(latency['p999_seconds'])}, max {span(latency['max_seconds'])}"),
        ("hook errors", f"{rate(rates['hook_errors'])}/s, {worker['hook_errors']:,} in all"),
        ("loop lag", f"{span(worker['lag_max_seconds'])}, last sign of life {_ago(tick)}"),
        ("cpu", f"{percent(worker['cpu_percent'])} %"),
        ("memory", f"RSS {amount(worker['rss_bytes'])}, PSS {amount(worker['pss_bytes'])}"),
        ("restarts", f"{worker['restarts']} of this slot" + _last(worker["last_exit"])),
    ]
    if worker["adopted_slots"]:
        facts.append(("serves too", f"slot {', '.join(map(str, worker['adopted_slots']))}"))
    return facts


def _ago(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else f"{duration(seconds)} ago"


def _last(exit_reason: str | None) -> str:
    return f", the last one: {exit_reason}" if exit_reason else ""


def _connection(row: ConnectionRow) -> list[Cell]:
    queued = row["queued_bytes"]
    return [
        str(row["id"]),
        str(row["peer"]),
        duration(row["age_seconds"]),
        duration(row["idle_seconds"]),
        amount(row["bytes_in"]),
        amount(row["bytes_out"]),
        (amount(queued), "yellow") if queued else "0",
        str(row["state"]),
        str(row["service"]),
    ]


def _plugin(at: int, plugin: PluginMetricsStatus, *, several: bool) -> list[Cell]:
    share = plugin["time_share"]
    errors = rate(plugin["errors_per_second"])
    name = f"{at} {plugin['name']} {plugin['version'] or ''}".rstrip()
    return [
        f"{name} ({', '.join(plugin['services'])})" if several else name,
        rate(plugin["connect_per_second"]),
        rate(plugin["receive_per_second"]),
        rate(plugin["close_per_second"]),
        span(plugin["latency"]["p50_seconds"]),
        span(plugin["latency"]["p99_seconds"]),
        percent(None if share is None else 100 * share),
        errors if errors == "0" else (errors, "bold red"),
        _last_error(plugin),
    ]


def _last_error(plugin: PluginMetricsStatus) -> Piece:
    if plugin["last_error"] is None:
        return UNKNOWN, "dim"
    age = plugin["last_error_age_seconds"]
    when = "" if age is None else f", {duration(age)} ago"
    # After an hour it is history.
    style = "red" if age is not None and age < 3600 else ""
    return f"x{plugin['errors']}{when}: {plugin['last_error']}", style


def _listener(listener: ListenerStatus) -> list[Cell]:
    dropped = listener["dropped"]
    return [
        listener["address"],
        UNKNOWN if listener["slot"] is None else (str(listener["slot"]), ""),
        _whole(listener["depth"]),
        _whole(listener["limit"]),
        (number(dropped), "yellow") if dropped else _whole(dropped),
        listener["service"],
    ]


def _whole(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)
