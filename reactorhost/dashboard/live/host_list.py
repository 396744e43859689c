"""The list of the running hosts, one of which the view can switch to."""

from __future__ import annotations

from dataclasses import replace

from reactorhost.dashboard.live.steps import steps_of
from reactorhost.dashboard.model.requests import Request, SwitchHost
from reactorhost.dashboard.model.view import Overlay, View
from reactorhost.dashboard.tables.row_window import hidden, window
from reactorhost.dashboard.text.line import Line, cut, line, padded, with_style


def host_list(view: View, width: int, height: int) -> list[Line]:
    """Return the lines of the list that are shown."""
    start, stop = window(range(len(view.hosts)), view.chosen_host, max(height - 1, 0))
    lines = [line(("RUNNING HOSTS OF THIS USER", "dim"))]
    for at in range(start, stop):
        host = view.hosts[at]
        drawn = cut(line(f"  {host.label}", (f"  pid {host.pid}" if host.pid else "", "dim")), width)
        lines.append(with_style(padded(drawn, width), "reverse") if at == view.chosen_host else drawn)
    if stop - start < len(view.hosts):
        lines.append(hidden(start, len(view.hosts) - stop, width))
    return lines[: max(height, 0)]


def press(view: View, key: str) -> tuple[View, Request | None]:
    """Return the view after a key: the choice moves, Enter switches, and any other key closes the list."""
    if steps := steps_of(key, len(view.hosts)):
        return replace(view, chosen_host=max(0, min(view.chosen_host + steps, len(view.hosts) - 1))), None
    closed = replace(view, overlay=Overlay.NONE)
    return closed, SwitchHost(view.hosts[view.chosen_host]) if key == "enter" else None
