"""The table of the listening sockets, with the state of their accept queues."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import Line
from reactorhost.dashboard.text.quantities import UNKNOWN, number
from reactorhost.ipc.status import ListenerStatus

_LISTENER_FIELDS = (
    Field("LISTENER", 32, left=True),
    Field("SLOT", 4),
    Field("QUEUE", 6),
    Field("LIMIT", 6, from_width=60),
    Field("DROPPED", 7, from_width=60),
    Field("SERVICE", 12, left=True, from_width=75),
)


def listener_table(listeners: Sequence[ListenerStatus], width: int) -> list[Line]:
    """Return the headings and a line for every listening socket."""
    return grid(_LISTENER_FIELDS, [_listener(each) for each in listeners], width)


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
