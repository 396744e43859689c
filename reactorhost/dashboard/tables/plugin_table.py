"""Tables of the plugins: calls, latency and errors of each, and the metrics that each publishes."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.text.alarm_limits import errors_style
from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import Line, Piece, cut, line, width_of
from reactorhost.dashboard.text.quantities import UNKNOWN, duration, exact, rate, span, whole
from reactorhost.dashboard.text.styles import FAULT
from reactorhost.ipc.status import PluginMetricsStatus, StatusDocument

_RECENT_SECONDS = 3600


def hook_chain(document: StatusDocument, width: int) -> list[Line]:
    """Return the headings and a line for every plugin, in calling order."""
    plugins = document["plugins"]

    def name(plugin: PluginMetricsStatus) -> str:
        named = f"{plugins.index(plugin) + 1} {plugin['name']} {plugin['version'] or ''}".rstrip()
        return f"{named} ({', '.join(plugin['services'])})" if len(document["services"]) > 1 else named

    # Plain hooks never wait.
    waits = any(plugin["waiting_share"] for plugin in plugins)
    shown = [field for field in _FIELDS if waits or field is not _WAIT]
    return grid([Field("HOOK CHAIN", 28, name, left=True), *shown], plugins, width)


def plugin_metrics(plugins: Sequence[PluginMetricsStatus], width: int) -> list[Line]:
    """Return a heading and the metrics of every plugin that has any; no lines if there are none."""
    with_metrics = [plugin for plugin in plugins if plugin["stats"]]
    if not with_metrics:
        return []
    return [line(("METRICS", "dim")), *(each for plugin in with_metrics for each in _metrics_of(plugin, width))]


def _metrics_of(plugin: PluginMetricsStatus, width: int) -> list[Line]:
    lines: list[Line] = []
    current_line = line(f"{plugin['name']}:")
    for name, value in plugin["stats"].items():
        added = line("  ", (name, "dim"), f" {exact(value)}")
        if width_of(current_line) + width_of(added) > width:
            lines.append(current_line)
            current_line = ()
        current_line += added
    return [cut(each, width) for each in (*lines, current_line)]


def last_error(plugin: PluginMetricsStatus) -> Piece:
    """Return the number of errors and the last one; red if it is recent."""
    error = plugin["last_error"]
    if error is None:
        return UNKNOWN, "dim"
    # The error arrives at once and its count with the next report, which never comes if the worker crashes before.
    count = f"x{plugin['errors']}, " if plugin["errors"] else ""
    client = f" for {error['peer']}" if error["peer"] else ""
    style = FAULT if error["age_seconds"] < _RECENT_SECONDS else ""
    when = f"{count}{duration(error['age_seconds'])} ago"
    return f"{when}: {error['message']} in {error['hook']} ({error['where']}){client}, worker {error['slot']}", style


def _percent(share: float | None) -> str:
    return whole(None if share is None else 100 * share)


def _errors(per_second: float) -> Cell:
    return (rate(per_second), errors_style(per_second) or "dim")


_WAIT: Field[PluginMetricsStatus] = Field("WAIT%", 5, lambda plugin: _percent(plugin["waiting_share"]), from_width=60)
_FIELDS: Sequence[Field[PluginMetricsStatus]] = (
    Field("connect/s", 9, lambda plugin: rate(plugin["connect_per_second"]), from_width=100),
    Field("receive/s", 9, lambda plugin: rate(plugin["receive_per_second"])),
    Field("close/s", 7, lambda plugin: rate(plugin["close_per_second"]), from_width=100),
    Field("P50", 5, lambda plugin: span(plugin["latency"]["p50_seconds"]), from_width=80),
    Field("P99", 5, lambda plugin: span(plugin["latency"]["p99_seconds"]), from_width=50),
    Field("TIME%", 5, lambda plugin: _percent(plugin["time_share"]), from_width=60),
    _WAIT,
    Field("ERR/s", 5, lambda plugin: _errors(plugin["errors_per_second"]), from_width=70),
    Field("LAST ERROR", 10, last_error, left=True, from_width=100),
)
