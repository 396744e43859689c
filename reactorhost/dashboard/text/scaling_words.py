"""How the number of workers follows the load, in words."""

from __future__ import annotations

from reactorhost.dashboard.text.quantities import duration, span
from reactorhost.ipc.status import ScalingStatus

_NOTABLE_LAG_SECONDS = 0.1


def brief(scaling: ScalingStatus) -> str:
    """Return the range and the use, and the lag if clients notice it."""
    limits = f"{scaling['min']}-{scaling['max']}"
    if not scaling["automatic"]:
        return f"{limits} off"
    parts = [limits]
    if scaling["use"] is not None:
        parts.append(f"use {scaling['use']:.0%}")
    if scaling["lag_seconds"] is not None and scaling["lag_seconds"] >= _NOTABLE_LAG_SECONDS:
        parts.append(f"lag {span(scaling['lag_seconds'])}")
    if scaling["queued"]:
        parts.append(f"{scaling['queued']} waiting")
    return ", ".join(parts)


def sentence(scaling: ScalingStatus) -> str:
    """Return a line for the status page, with the last change and its reason."""
    shown = f"workers by load: {brief(scaling)}"
    if scaling["changed_seconds"] is not None:
        shown += f"; changed {duration(scaling['changed_seconds'])} ago: {scaling['reason']}"
    return shown
