"""When jobs are due: at the ticks of an interval, or at the times of a cron expression.

Nothing here reads a clock: `now` is a parameter. A job is due at most once for each of its times, however often and
late it looks; several times that have passed since the last look count as one.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol

from reactorhost.ipc.moments import Moment

LEAST_INTERVAL_SECONDS = 0.001
# The wall clock can be set while a timer of the monotonic clock waits.
_LONGEST_WAIT_SECONDS = 60.0
_LOCAL_TIME = Path("/etc/localtime")


class Times(Protocol):
    """The times of one job."""

    def begin(self, since: Moment) -> None:
        """Look for times after `since` from now on."""

    def passed(self, now: Moment) -> bool:
        """Return whether a time has come since the last look."""

    def seconds_left(self, now: Moment) -> float:
        """Return when to look again."""


def tick_of(seconds: float, interval: float) -> int:
    """Return the number of the tick that was the last at a moment of the monotonic clock.

    Ticks are multiples of the interval, so that all processes of a machine count the same ones.
    """
    return math.floor(seconds / interval)


class Ticks:
    """The multiples of an interval on the monotonic clock."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._number = 0

    def begin(self, since: Moment) -> None:
        """See `Times`."""
        self._number = tick_of(since.monotonic, self._interval)

    def passed(self, now: Moment) -> bool:
        """See `Times`."""
        number = tick_of(now.monotonic, self._interval)
        # Smaller: of a turn of the loop that began before the report of the last leader.
        if number <= self._number:
            return False
        self._number = number
        return True

    def seconds_left(self, now: Moment) -> float:
        """See `Times`."""
        due = (self._number + 1) * self._interval
        # The product and the quotient are rounded: the tick may begin a little later than where it is a multiple.
        while tick_of(due, self._interval) <= self._number:
            due = math.nextafter(due, math.inf)
        return due - now.monotonic


class CronTimes:
    """The times of a cron expression of five fields.

    What happens when summer time begins and ends is defined by cronsim, which does as cron(8) of Debian.
    """

    def __init__(self, expression: str, zone: tzinfo) -> None:
        self._expression = expression
        self._zone = zone
        self._until = 0.0
        self._next = math.inf

    def begin(self, since: Moment) -> None:
        """See `Times`."""
        # Imported here: few plugins have such jobs.
        from cronsim import CronSim

        self._until = since.unix
        after = datetime.fromtimestamp(since.unix, self._zone)
        times = (found.timestamp() for found in CronSim(self._expression, after))
        # In the hour that is repeated when summer time ends, the first one can be that of the hour before. There is
        # none without a match in fifty years.
        self._next = next((each for each in times if each > since.unix), math.inf)

    def passed(self, now: Moment) -> bool:
        """See `Times`."""
        if now.unix < self._until:
            # `Moment.moved_to` lets only a correction of the clock come here.
            self.begin(now)
            return False
        self._until = now.unix
        if now.unix < self._next:
            return False
        self.begin(now)
        return True

    def seconds_left(self, now: Moment) -> float:
        """See `Times`."""
        return min(self._next - now.unix, _LONGEST_WAIT_SECONDS)


def cron_times(expression: str, timezone: str | None) -> CronTimes:
    """Return the times of an expression, in a time zone or in that of the system.

    Raises:
        TypeError: one of them is not a text.
        ValueError: one of them is wrong.
    """
    from cronsim import CronSim, CronSimError

    if not isinstance(expression, str):
        raise TypeError(f"a cron expression must be a text, not {expression!r}")
    if not isinstance(timezone, str | None):
        raise TypeError(f"a time zone must be a text, not {timezone!r}")
    zone = _local_zone() if timezone is None else _zone(timezone)
    if len(expression.split()) != 5:
        raise ValueError(
            f"the cron expression {expression!r} must have five fields: minute, hour, day of the month, month, weekday"
        )
    try:
        CronSim(expression, datetime.now(zone))
    # ValueError: a number of thousands of digits.
    except (CronSimError, ValueError) as error:
        wrong = str(error).removeprefix("Bad ")
        raise ValueError(f"the cron expression {expression!r} has a wrong field: {wrong}") from None
    return CronTimes(expression, zone)


def _zone(name: str) -> tzinfo:
    # Known also where the system has no time zones.
    if name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    # OSError: the name is that of a directory, or cannot be one of a file.
    except (LookupError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r} on this system; it has a name such as 'Europe/Berlin', and the package "
            "tzdata must be installed"
        ) from None


def _local_zone() -> tzinfo:
    name = os.environ.get("TZ", "").removeprefix(":")
    if name and not name.startswith("/"):
        return _zone(name)
    from zoneinfo import ZoneInfo

    try:
        with Path(name or _LOCAL_TIME).open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        # As the C library does.
        return UTC
