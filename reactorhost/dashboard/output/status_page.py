"""A host on paper: what `status` and `top --once` print, the tree of the live view and what belongs to it."""

from __future__ import annotations

from reactorhost.dashboard.live.pages import event_line, hook_chain, listeners, own_numbers
from reactorhost.dashboard.tables.worker_table import needed_height, worker_table
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.output.banner import chain
from reactorhost.dashboard.text.quantities import amount, duration, number, rate
from reactorhost.dashboard.text.line import EMPTY, Line, in_ascii, line
from reactorhost.ipc.status import StatusDocument

_EVENTS = 10
_TROUBLES = 3


def brief(document: StatusDocument, view: View, width: int) -> list[Line]:
    """Return who and how, the tree, and the last things that went wrong within the hour."""
    recent = [event for event in document["events"] if event["level"] not in ("debug", "info")][-_TROUBLES:]
    recent = [event for event in recent if document["time"] - event["time"] < 3600]
    lines = [*_head(document), EMPTY, *_tree(document, view, width), *_own_numbers(document, width)]
    if recent:
        lines += [EMPTY, *(event_line(event, width) for event in recent)]
    return _shown(lines, view)


def full(document: StatusDocument, view: View, width: int) -> list[Line]:
    """Return the same with plugins, listening sockets and the last events."""
    lines = [*_head(document), EMPTY, *_tree(document, view, width)]
    if document["plugins"]:
        lines += [EMPTY, *hook_chain(document, width), *_own_numbers(document, width)]
    if document["listeners"]:
        lines += [EMPTY, *listeners(document["listeners"], width)]
    if document["events"]:
        lines += [EMPTY, line(("EVENTS", "dim"))]
        lines += [event_line(event, width) for event in document["events"][-_EVENTS:]]
    return _shown(lines, view)


def _tree(document: StatusDocument, view: View, width: int) -> list[Line]:
    snapshot = following(None, document)
    return worker_table(snapshot, view, width, needed_height(snapshot, view))


def _own_numbers(document: StatusDocument, width: int) -> list[Line]:
    numbers = own_numbers(document["plugins"], width)
    return [EMPTY, *numbers] if numbers else []


def _shown(lines: list[Line], view: View) -> list[Line]:
    return [in_ascii(each) for each in lines] if view.ascii else lines


def _head(document: StatusDocument) -> list[Line]:
    return [_who(document), *_services(document), _how(document)]


def _who(document: StatusDocument) -> Line:
    ready, wanted = document["workers_ready"], document["workers_wanted"]
    state = "reloading" if document["reloading"] and document["state"] == "running" else document["state"]
    return line(
        (document["name"], "bold"),
        f"  reactorhost {document['version']}  pid {document['pid']}  ",
        (state, "" if state == "running" else "yellow"),
        f"  up {duration(document['uptime_seconds'])}  generation {document['generation']}  ",
        (f"{ready}/{wanted} ready", "" if ready == wanted else "yellow"),
    )


def _services(document: StatusDocument) -> list[Line]:
    return [
        line(
            (f"{service['name']}: " if len(document["services"]) > 1 else "", "dim"),
            f"{', '.join(service['addresses'])}  {chain(service['plugins'])}",
        )
        for service in document["services"]
    ]


def _how(document: StatusDocument) -> Line:
    totals, rates = document["totals"], document["rates"]
    parts = [
        f"{number(totals['connections'])} of {number(document['max_connections'])} connections",
        f"{number(totals['accepted'])} accepted",
        f"{rate(rates['messages'])} msgs/s",
        f"in {amount(rates['bytes_in'])}/s",
        f"out {amount(rates['bytes_out'])}/s",
    ]
    if totals["refused"]:
        parts.append(f"{number(totals['refused'])} refused")
    made = line("  ".join(parts))
    if totals["hook_errors"]:
        made += line("  ", (f"{number(totals['hook_errors'])} hook errors", "red"))
    return made
