"""From which values on a figure is a warning or an alarm, wherever it is shown."""

from __future__ import annotations

from reactorhost.dashboard.text.styles import ALARM, WARN
from reactorhost.ipc.status import ListenerStatus

FULL = 0.9
"""A queue, or the connections of a host, at its limit."""
FILLING = 0.25
"""A queue that workers do not empty as fast as it fills."""
_ERRORS_PER_SECOND = 0.05
"""Below, the rate is shown as 0."""


def fill(depth: int | None, limit: int | None) -> float:
    """Return how full a queue is; one that is not known counts as empty."""
    return (depth or 0) / (limit or 1)


def fullest_fill(listener: ListenerStatus) -> float:
    """Return how full the fullest queue of an address is."""
    return fill(listener["fullest_depth"], listener["fullest_limit"])


def fill_style(share: float) -> str:
    """Return the style of the depth of a queue."""
    return ALARM if share >= FULL else WARN if share >= FILLING else ""


def errors_style(per_second: float) -> str:
    """Return the style of a rate of errors."""
    return ALARM if per_second >= _ERRORS_PER_SECOND else ""
