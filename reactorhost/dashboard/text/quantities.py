"""Durations, sizes, counts and rates in few characters; `-` means unknown and is never used for zero."""

from __future__ import annotations

UNKNOWN = "-"


def duration(seconds: float) -> str:
    """Return `0.4s`, `12s`, `3m05s`, `2h07m` or `3d04h`."""
    if seconds >= 60:
        return uptime(seconds)
    return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"


def whole_seconds(seconds: float) -> str:
    """Return a duration in a sentence, in whole seconds: `18 s`, `3m05s`."""
    return f"{int(seconds)} s" if seconds < 60 else uptime(seconds)


def uptime(seconds: float | None) -> str:
    """Return `0m04s`, `59m59s`, `2h07m`, `3d04h` or `123d`: at most six characters."""
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def amount(count: float | None) -> str:
    """Return a number of bytes in at most five characters: `0`, `512`, `44.5M`, `998M`, `1.0G`."""
    return _short(count, 1024.0)


def rate(count: float | None) -> str:
    """Return a rate per second in at most five characters: `0`, `0.4`, `38`, `23.6K`, `148K`."""
    return _short(count, 1000.0)


def number(count: float | None) -> str:
    """Return a count in at most seven characters: `9,638`, `999,999`, `1.0M`."""
    if count is None:
        return UNKNOWN
    return f"{count:,.0f}" if abs(count) < 1_000_000 else rate(count)


def exact(value: float) -> str:
    """Return the value of a plugin's metric without rounding to a unit: `1,234,567`, `0.25`, `1e+20`."""
    if isinstance(value, int):
        return f"{value:,}"
    if value and not 0.001 <= abs(value) < 1e15:
        return f"{value:.3g}"
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 worker`, `9,638 connections`."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def whole(value: float | None) -> str:
    """Return a number without decimals and without separators."""
    return UNKNOWN if value is None else f"{value:.0f}"


def span(seconds: float | None) -> str:
    """Return a short time in at most five characters: `0`, `119µs`, `1.2ms`, `38ms`, `1.5s`, `59s`, `3m05s`."""
    if seconds is None:
        return UNKNOWN
    # The limits are the values from which on rounding would carry into the next digit or unit: 999.6 µs is 1.0ms.
    if seconds < 0.0000005:
        return "0"
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f}µs"
    if seconds < 0.9995:
        milliseconds = seconds * 1e3
        return f"{milliseconds:.1f}ms" if milliseconds < 9.95 else f"{milliseconds:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s" if seconds < 59.5 else uptime(seconds)


def _short(count: float | None, step: float) -> str:
    if count is None:
        return UNKNOWN
    # As in `span`, the limits allow for rounding: 999.6 would be shown as 1000, and is 1.0K.
    if count < 999.5:
        tenths = f"{count:.1f}"
        # Tenths are shown below ten only, and below 0.05 the value is shown as 0.
        return f"{count:.0f}" if count >= 9.95 or tenths.endswith(".0") else tenths
    for unit in "KMGTPE":
        count /= step
        if count < 99.95:
            return f"{count:.1f}{unit}"
        if count < 999.5:
            return f"{count:.0f}{unit}"
    return f"{count:.0f}E"
