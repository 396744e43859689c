"""Moments on two clocks: the monotonic one, for intervals, and the wall clock, for times of day.

The monotonic clock of Linux is the same in all processes of a machine, so moments can be passed between them.
"""

from __future__ import annotations

from dataclasses import dataclass

CORRECTION_SECONDS = 3 * 3600.0
"""A wall clock that goes back by more than this was wrong before; as cron(8) of Debian has it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment: monotonic seconds, and Unix time in seconds."""

    monotonic: float
    unix: float

    def moved_to(self, now: Moment) -> Moment:
        """Return `now`, with the wall clock of this moment as long as that one was set back a little.

        A time of day that comes a second time because of that counts as passed.
        """
        set_back = 0 < self.unix - now.unix <= CORRECTION_SECONDS
        return Moment(now.monotonic, self.unix if set_back else now.unix)


BEGINNING = Moment(0.0, 0.0)
