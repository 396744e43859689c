"""Figures as people read them: durations, sizes, counts, in few characters."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return `0.4s`, `12s`, `3m05s`, `2h07m` or `3d04h`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def size(count: float) -> str:
    """Return a number of bytes as `512`, `1.5K`, `24.8M`, `3.0G` in powers of 1024."""
    if count < 1024:
        return f"{count:.0f}"
    for unit in "KMGT":
        count /= 1024
        if count < 1024 or unit == "T":
            break
    return f"{count:.1f}{unit}"
