"""The pages that `status` and `top --once` print."""

from __future__ import annotations

from dataclasses import replace

from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.model.worker_trends import WorkerTrends
from reactorhost.dashboard.output.banner import chain
from reactorhost.dashboard.tables.listener_table import listener_table
from reactorhost.dashboard.tables.plugin_table import hook_chain, plugin_metrics
from reactorhost.dashboard.tables.row_window import hidden
from reactorhost.dashboard.tables.service_table import service_table
from reactorhost.dashboard.tables.worker_table import needed_height, worker_table
from reactorhost.dashboard.text import limit_words, scaling_words, silence_words
from reactorhost.dashboard.text.bus_words import bus_line
from reactorhost.dashboard.text.event_lines import event_section
from reactorhost.dashboard.text.line import EMPTY, Line, in_ascii, line
from reactorhost.dashboard.text.quantities import amount, counted, duration, number, rate
from reactorhost.dashboard.text.styles import FAULT, WARN
from reactorhost.dashboard.text.wrapping import wrapped
from reactorhost.ipc.status import ServiceStatus, StatusDocument

_EVENTS = 10
_RECENT_EVENTS = 6
_RECENT_CRASHES = 4
_RECENT_SECONDS = 3600


def brief(document: StatusDocument, view: View, width: int) -> list[Line]:
    """Return the head, the worker table, the metrics of plugins, and the last warnings and errors of the last hour."""
    lines = [*_head(document, width), EMPTY, *_tree(document, view, width)]
    lines += [*_service_table(document, width), *_metrics(document, width)]
    lines += _warnings(document, width)
    return _finished(lines, view)


def full(document: StatusDocument, view: View, width: int) -> list[Line]:
    """Return the head, the worker table, the plugins with their metrics, the listeners and the last events."""
    lines = [*_head(document, width), EMPTY, *_tree(document, view, width), *_service_table(document, width)]
    if document["plugins"]:
        lines += [EMPTY, *hook_chain(document, width), *_metrics(document, width)]
    if document["listeners"]:
        lines += [EMPTY, *listener_table(document["listeners"], width)]
    lines += event_section(document["events"][-_EVENTS:], width, document["time"])
    return _finished(lines, view)


def _warnings(document: StatusDocument, width: int) -> list[Line]:
    # A crash is in both lists until other events have displaced it.
    entries = {event["entry"]: event for event in (*document["crashes"], *document["events"])}.values()
    warnings = [event for event in entries if event["level"] not in ("debug", "info")]
    recent = [event for event in warnings if document["time"] - event["time"] < _RECENT_SECONDS]
    recent.sort(key=lambda event: event["id"])
    crashes = {event["entry"] for event in document["crashes"]}
    # A plugin that logs warnings does not displace them.
    shown = [event for event in recent if event["entry"] in crashes][-_RECENT_CRASHES:]
    shown += [event for event in recent if event["entry"] not in crashes][len(shown) - _RECENT_EVENTS :]
    shown.sort(key=lambda event: event["id"])
    lines = event_section(shown, width, document["time"], "WARNINGS AND ERRORS")
    if len(shown) < len(recent):
        lines.append(hidden(0, len(recent) - len(shown), width, [(" of the last hour", "dim")]))
    return lines


def _tree(document: StatusDocument, view: View, width: int) -> list[Line]:
    # Of one document there is no trend.
    snapshot = replace(following(None, document), worker_trends=WorkerTrends())
    return worker_table(snapshot, view, width, needed_height(snapshot, view, width))


def _service_table(document: StatusDocument, width: int) -> list[Line]:
    # The figures of the only service are those of the host.
    services = document["services"]
    return [EMPTY, *service_table(services, document, width)] if len(services) > 1 else []


def _metrics(document: StatusDocument, width: int) -> list[Line]:
    metrics = plugin_metrics(document["plugins"], width)
    return [EMPTY, *metrics] if metrics else []


def _finished(lines: list[Line], view: View) -> list[Line]:
    return [in_ascii(each) for each in lines] if view.ascii else lines


def _head(document: StatusDocument, width: int) -> list[Line]:
    problems = [line((problem, FAULT)) for problem in document["problems"]]
    # While it starts or stops, the state in the title is the reason.
    reasons = document["not_ready"] if document["state"] == "running" else ()
    bus, scaling = document["bus"], document["scaling"]
    lines = [
        _title(document),
        *problems,
        *(line((f"not ready: {reason}", WARN)) for reason in reasons),
        *([line(scaling_words.sentence(scaling))] if scaling else []),
        *_services(document),
        _traffic(document),
        *([bus_line(bus)] if bus else []),
    ]
    return [part for each in lines for part in wrapped(each, width, indent=2)]


def _title(document: StatusDocument) -> Line:
    state = "reloading" if document["reloading"] and document["state"] == "running" else document["state"]
    return line(
        (document["name"], "bold"),
        f"  reactorhost {document['version']}  pid {document['pid']}  ",
        (state, "" if state == "running" else WARN),
        f"  up {duration(document['uptime_seconds'])}  generation {document['generation']}  ",
        *silence_words.ready(document),
    )


def _services(document: StatusDocument) -> list[Line]:
    return [
        line(
            (f"{service['name']}: " if len(document["services"]) > 1 else "", "dim"),
            f"{', '.join(service['addresses'])}  {chain(service['plugins'])}",
            (_fewer_workers(service, document["workers_wanted"]), "dim"),
        )
        for service in document["services"]
    ]


def _fewer_workers(service: ServiceStatus, wanted: int) -> str:
    return f"  {service['workers']} of {wanted} workers" if service["workers"] < wanted else ""


def _traffic(document: StatusDocument) -> Line:
    totals, rates = document["totals"], document["rates"]
    parts = [
        f"{number(totals['connections'])} of {number(document['max_connections'])} clients",
        f"{number(totals['accepted'])} accepted",
        f"{rate(rates['messages'])} msgs/s",
        f"in {amount(rates['bytes_in'])}/s",
        f"out {amount(rates['bytes_out'])}/s",
    ]
    if totals["refused"]:
        parts.append(f"{number(totals['refused'])} refused")
    if recycled := sum(document["recycled"].values()):
        parts.append(f"{number(recycled)} recycled")
    parts += limit_words.counts(document)
    shown = line("  ".join(parts))
    if totals["hook_errors"]:
        shown += line("  ", (counted(totals["hook_errors"], "hook error"), FAULT))
    return shown
