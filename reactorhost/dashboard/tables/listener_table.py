"""The table of the addresses, with the state of their accept queues."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.text.alarm_limits import fill_style, fullest_fill
from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import Line
from reactorhost.dashboard.text.quantities import UNKNOWN, number, whole
from reactorhost.dashboard.text.styles import WARN
from reactorhost.ipc.status import ListenerStatus


def listener_table(listeners: Sequence[ListenerStatus], width: int) -> list[Line]:
    """Return the headings and a line for every address."""
    return grid(_FIELDS, listeners, width)


def _fullest(listener: ListenerStatus) -> Cell:
    slot, depth = listener["fullest_slot"], listener["fullest_depth"]
    if slot is None or depth is None:
        return UNKNOWN
    return (f"{number(depth)} (slot {slot})", fill_style(fullest_fill(listener))) if depth else "0"


def _dropped(count: int | None) -> Cell:
    return (number(count), WARN) if count else whole(count)


_FIELDS: Sequence[Field[ListenerStatus]] = (
    Field("LISTENER", 32, lambda listener: listener["address"], left=True),
    Field("QUEUE", 6, lambda listener: whole(listener["depth"])),
    Field("LIMIT", 7, lambda listener: whole(listener["limit"]), from_width=60),
    Field("FULLEST", 15, _fullest, from_width=96),
    Field("DROPPED", 7, lambda listener: _dropped(listener["dropped"]), from_width=60),
    Field("SERVICE", 12, lambda listener: listener["service"], left=True, from_width=75),
)
