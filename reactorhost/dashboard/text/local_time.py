"""Moments in the local time of the reader."""

from __future__ import annotations

import time


def clock(seconds: float) -> str:
    """Return a Unix time as local time of day, `12:04:37`."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def moment(seconds: float, now: float) -> str:
    """Return a Unix time as local time, with the date if it is not today: `12:04:37`, `27 Nov 12:04:37`."""
    then, today = time.localtime(seconds), time.localtime(now)
    if then[:3] == today[:3]:
        return clock(seconds)
    date = "%d %b" if then.tm_year == today.tm_year else "%d %b %Y"
    return time.strftime(f"{date} %H:%M:%S", then)


def zone(seconds: float) -> str:
    """Return the local time zone at a Unix time: `UTC`, `UTC+1`, `UTC-3:30`."""
    offset = time.localtime(seconds).tm_gmtoff // 60
    if not offset:
        return "UTC"
    hours, minutes = divmod(abs(offset), 60)
    return f"UTC{'+' if offset > 0 else '-'}{hours}{f':{minutes:02d}' if minutes else ''}"
