"""The header: the identity and the load of the host, in three lines or in one."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.text import scaling_words, silence_words
from reactorhost.dashboard.text.alarm_limits import FULL, errors_style, fill_style, fullest_fill
from reactorhost.dashboard.text.bus_words import backend
from reactorhost.dashboard.text.line import Line, Piece, cut, line, spread, width_of
from reactorhost.dashboard.text.local_time import clock
from reactorhost.dashboard.text.quantities import amount, number, rate, uptime
from reactorhost.dashboard.text.sparkline import sparkline
from reactorhost.dashboard.text.styles import ALARM, NOTE, WARN
from reactorhost.ipc.status import ServiceStatus, StatusDocument
from reactorhost.printable import printable

_LABEL = 14
_NARROWEST_SPARKLINE = 20
_SILENT_SECONDS = 3
_CLOCK_FROM_WIDTH = 30
_INTERVAL_FROM_WIDTH = 100
_READY_RANK = 1
_VERSION_RANK = 7


def header(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the header in at most `height` lines: three, or the title only."""
    document = snapshot.document
    now = _clock(snapshot, view, width)
    room = width - width_of(now) - 2 if now else width
    title = spread(_title(document, room, is_lost=snapshot.link.lost_seconds is not None), now, width)
    if height < 3:
        return [title][:height]
    upper = [_value("peak", rate(snapshot.peak), 5), _connections(document), _queue(document)]
    lower = [_value("tx/s", amount(document["rates"]["bytes_out"]), 5), *_flows(document)]
    return [title, *_trends(snapshot, upper, lower, width)]


# The title.


def _title(document: StatusDocument, width: int, *, is_lost: bool) -> Line:
    """Return the parts that fit, in order; the part of the highest rank is dropped first."""
    name = "reactorhost" if document["name"] == "default" else f"reactorhost {document['name']}"
    parts: list[tuple[int, Line]] = [
        (0, line((name, "bold"))),
        (_VERSION_RANK, line((document["version"], "dim"))),
        # Of a host that is gone, no worker is ready.
        *([] if is_lost else [(_READY_RANK, silence_words.ready(document))]),
        (3, line(f"gen {document['generation']}")),
        (4, line(f"up {uptime(document['uptime_seconds'])}")),
        *_services(document["services"]),
    ]
    if scaling := document["scaling"]:
        parts.insert(3, (3, line(scaling_words.brief(scaling))))
    bus = document["bus"]
    if bus and bus["backend"] and bus["backend"]["state"] != "up":
        parts.insert(3, (2, line(backend(bus["backend"]))))
    if document["reloading"]:
        parts.insert(3, (2, line(("reloading", NOTE))))
    if document["state"] != "running":
        parts.insert(2, (2, line((document["state"], WARN))))
    elif not document["ready"]:
        parts.insert(2, (2, line(("not ready", WARN))))
    while width_of(_joined(parts)) > width:
        # By importance and not from the end: on a narrow screen the name and the number of ready workers remain.
        rank, least = max(parts, key=lambda part: part[0])
        if rank <= _READY_RANK:
            parts[0] = (0, line((document["name"], "bold")))
            break
        parts.remove((rank, least))
    return _joined(parts)


def _services(services: Sequence[ServiceStatus]) -> Sequence[tuple[int, Line]]:
    """Return the addresses and plugins of the only service, or the number of services: a page lists them."""
    if len(services) != 1:
        return [(5, line(f"{len(services)} services"))]
    chain = " > ".join(plugin["name"] for plugin in services[0]["plugins"])
    return [(5, line(" ".join(services[0]["addresses"]))), (6, line(chain))]


def _joined(parts: Sequence[tuple[int, Line]]) -> Line:
    pieces: list[Piece] = []
    for rank, part in parts:
        if pieces:
            pieces.append((" ", "") if rank == _VERSION_RANK else (" · ", "dim"))
        pieces += part
    return tuple(pieces)


def _clock(snapshot: Snapshot, view: View, width: int) -> Line:
    link = snapshot.link
    now = clock(snapshot.document["time"])
    if link.lost_seconds is not None:
        return line((f"disconnected {link.lost_seconds} s, retrying", ALARM))
    if link.silent_seconds >= _SILENT_SECONDS:
        return line((f"no answer for {link.silent_seconds} s", WARN))
    pieces: list[Piece] = [("PAUSED", WARN), (" ", "")] if view.paused else []
    if width < _CLOCK_FROM_WIDTH:
        return line(*pieces[:1])
    pieces.append((now, ""))
    if width >= _INTERVAL_FROM_WIDTH:
        pieces.append((" " + (printable(link.source) or f"every {view.interval_seconds:g}s"), "dim"))
    return line(*pieces)


# The trends and the values beside them.


def _value(label: str, value: str, cells: int, style: str = "") -> Line:
    # In a fixed number of cells, so that the values after it stay in place when it changes.
    return line((f"{label} ", "dim"), (value.ljust(cells), style))


def _connections(document: StatusDocument) -> Line:
    limit = number(document["max_connections"])
    now = document["totals"]["connections"]
    style = WARN if document["max_connections"] and now >= FULL * document["max_connections"] else ""
    return _value("clients", f"{number(now)}/{limit}", 2 * len(limit) + 1, style)


def _queue(document: StatusDocument) -> Line:
    """Return the length of the fullest accept queue."""
    fullest = max(document["listeners"], key=fullest_fill, default=None)
    if fullest is None or fullest["fullest_depth"] is None or fullest["fullest_limit"] is None:
        return _value("accept queue", "-", 9, "dim")
    depth = f"{fullest['fullest_depth']}/{fullest['fullest_limit']}"
    return _value("accept queue", depth, 9, fill_style(fullest_fill(fullest)))


def _flows(document: StatusDocument) -> list[Line]:
    rates = document["rates"]
    drops = [listener["dropped"] for listener in document["listeners"] if listener["dropped"] is not None]
    errors = rates["hook_errors"]
    values = [
        _value("err", f"{rate(errors)}/s", 7, errors_style(errors)),
        _value("accepts", f"{rate(rates['accepted'])}/s", 7),
        _value("refused", rate(rates["refused"]), 5, WARN if rates["refused"] >= 0.95 else ""),
    ]
    if any(drops):
        # Dropped by the kernel because an accept queue was full, since the start.
        values.append(_value("dropped", number(sum(drops)), 7, WARN))
    bus = document["bus"]
    if bus and bus["dropped"]:
        style = ALARM if bus["dropped_per_second"] else WARN
        # Behind the errors, so that a narrow screen shows it too.
        values.insert(1, _value("bus lost", number(bus["dropped"]), 7, style))
    return values


def _trends(snapshot: Snapshot, upper: list[Line], lower: list[Line], width: int) -> list[Line]:
    rates, trend = snapshot.document["rates"], snapshot.trend
    above, below = _beside(upper, width), _beside(lower, width)
    bars = width - _LABEL - max(width_of(above), width_of(below))
    return [
        _trend("msgs/s", rate(rates["messages"]), sparkline(trend.messages, trend.end, bars), above, width),
        _trend("rx/s", amount(rates["bytes_in"]), sparkline(trend.bytes_in, trend.end, bars), below, width),
    ]


def _trend(label: str, value: str, bars: str, beside: Line, width: int) -> Line:
    left = line((f"{label:<6} ", "dim"), (f"{value:>6} ", "bold"), (bars, "dim"))
    return cut((*left, *beside), width)


def _beside(values: list[Line], width: int) -> Line:
    """Return as many values as leave room for a sparkline."""
    pieces: list[Piece] = []
    bars = min(_NARROWEST_SPARKLINE, width // 4)
    for value in values:
        if _LABEL + bars + width_of(pieces) + 2 + width_of(value) > width:
            break
        pieces += [("  ", ""), *value]
    return tuple(pieces)
