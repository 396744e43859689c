"""The table of the listening sockets, with the state of their accept queues."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import Line
from reactorhost.dashboard.text.quantities import UNKNOWN, number, whole
from reactorhost.ipc.status import ListenerStatus

_FIELDS: Sequence[Field[ListenerStatus]] = (
    Field("LISTENER", 32, lambda listener: listener["address"], left=True),
    Field("SLOT", 4, lambda listener: _slot(listener["slot"])),
    Field("QUEUE", 6, lambda listener: whole(listener["depth"])),
    Field("LIMIT", 6, lambda listener: whole(listener["limit"]), from_width=60),
    Field("DROPPED", 7, lambda listener: _dropped(listener["dropped"]), from_width=60),
    Field("SERVICE", 12, lambda listener: listener["service"], left=True, from_width=75),
)


def listener_table(listeners: Sequence[ListenerStatus], width: int) -> list[Line]:
    """Return the headings and a line for every listening socket."""
    return grid(_FIELDS, listeners, width)


def _slot(slot: int | None) -> Cell:
    # With a style of its own: a plain 0 would be dimmed like a count of nothing.
    return UNKNOWN if slot is None else (str(slot), "")


def _dropped(count: int | None) -> Cell:
    return (number(count), "yellow") if count else whole(count)
