"""A line for an event: its time and its sentence."""

from __future__ import annotations

from reactorhost.dashboard.text.event_sentences import sentence
from reactorhost.dashboard.text.line import Line, cut, line
from reactorhost.dashboard.text.quantities import clock
from reactorhost.ipc.status import EventStatus

_LEVEL_STYLES = {"error": "red", "critical": "bold red", "warning": "yellow"}


def event_line(event: EventStatus, width: int) -> Line:
    """Return the line, coloured by the level of the event."""
    style = _LEVEL_STYLES.get(event["level"], "")
    return cut(line((clock(event["time"]), "dim"), " ", (sentence(event), style)), width)
