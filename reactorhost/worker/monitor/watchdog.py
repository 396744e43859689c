"""The watchdog: names the code of a plugin that holds the loop, while it does.

It is a dead man's switch. A timer of the loop puts an alarm off, again and again. When the loop does not come to that,
the alarm rings, and goes on ringing until it does, less and less often. The signal's handler runs on top of whatever
holds the loop, so it is handed the stack that names it, also of a hook that never returns. As long as all is well no
signal comes.

There is no second thread: a process that has one takes the slower ways of the C library and of the kernel, and a
64-byte echo costs 4 % more.

C code that neither returns nor lets system calls be interrupted is named when it has returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from reactorhost.logs import EventLog
from reactorhost.plugins.attribution import Standing
from reactorhost.reactor import Reactor
from reactorhost.worker.monitor.alarm import Alarm

_LINE_SECONDS = 1.0
_SAME_PLACE_SECONDS = 60.0
_MOST_PLACES = 200
_QUICK_RINGS = 16
_LONGEST_PAUSE = 3600.0

Locate = Callable[[FrameType], Standing | None]
"""Returns where in a plugin's code a stack stands, or None when it stands in none."""


class StallReporter(Protocol):
    """Who hears of what holds the loop."""

    def holds(self, standing: Standing, seconds: float, suppressed: int) -> None:
        """Tell of code that holds the loop for so long already."""

    def held(self, standing: Standing, seconds: float) -> None:
        """Tell that it returned, after so long in all."""


@dataclass(slots=True)
class _Place:
    told_at: float
    suppressed: int = 0


class StallDetector:
    """Decides what to say of looks at a loop. Nothing here reads a clock or waits: `now` is monotonic seconds.

    At most one line a second is told, and one a minute for each place.
    """

    def __init__(self, limit_seconds: float, stand: StallReporter) -> None:
        self._limit_seconds = limit_seconds
        self._stand = stand
        self._progress: int | None = None
        self._since = 0.0
        self._counted = False
        self._told: Standing | None = None
        self._told_at = -_LINE_SECONDS
        self._places: dict[str, _Place] = {}

    def look(self, progress: int, now: float, locate: Callable[[], Standing | None]) -> None:
        """Take one look; `locate` is asked where the loop stands if that matters."""
        if progress != self._progress:
            self._moved(progress, now)
        elif self._told is None and now - self._since >= self._limit_seconds:
            standing = locate()
            if standing is not None:
                self._judge(standing, now)

    def rest(self, now: float) -> None:
        """Take a look that found the loop waiting for something to do."""
        self._moved(None, now)

    def _moved(self, progress: int | None, now: float) -> None:
        if self._told is not None:
            self._stand.held(self._told, now - self._since)
        self._progress, self._since = progress, now
        self._counted, self._told = False, None

    def _judge(self, standing: Standing, now: float) -> None:
        place = self._places.get(standing.where)
        if now - self._told_at < _LINE_SECONDS or (place and now - place.told_at < _SAME_PLACE_SECONDS):
            # Not yet. If it never returns it is told later.
            if not self._counted:
                self._counted = True
                self._remember(standing.where, place or _Place(now - _SAME_PLACE_SECONDS)).suppressed += 1
            return
        suppressed = place.suppressed - self._counted if place else 0
        self._stand.holds(standing, now - self._since, suppressed)
        self._remember(standing.where, _Place(now))
        self._told, self._told_at = standing, now

    def _remember(self, where: str, place: _Place) -> _Place:
        self._places.pop(where, None)
        if len(self._places) >= _MOST_PLACES:
            del self._places[next(iter(self._places))]
        self._places[where] = place
        return place


class Watchdog:
    """Watches the loop that made it; from the main thread only, as Python's signals are.

    `progress` returns a number that changes whenever the loop, or what it calls, came further. It is called on top of
    what holds the loop.
    """

    def __init__(
        self,
        reactor: Reactor,
        alarm: Alarm,
        limit_seconds: float,
        progress: Callable[[], int],
        locate: Locate,
        log: EventLog,
    ) -> None:
        self._reactor = reactor
        self._alarm = alarm
        self._limit_seconds = limit_seconds
        self._progress = progress
        self._locate = locate
        self._log = log
        self._detector = StallDetector(limit_seconds, self)
        self._rings = 0
        self._rings_at = 0.0
        self._looking = False

    def start(self) -> None:
        """Watch from now on."""
        self._alarm.watch(self._rang)
        self._put_off()

    def stop(self) -> None:
        """Watch no more, in a child of a plugin too."""
        self._alarm.stop()

    def holds(self, standing: Standing, seconds: float, suppressed: int) -> None:
        """Log it."""
        self._log.warning(
            "slow_hook",
            plugin=standing.plugin,
            hook=standing.hook or "?",
            where=standing.where,
            seconds=round(seconds, 3),
            **({"suppressed": suppressed} if suppressed else {}),
        )

    def held(self, standing: Standing, seconds: float) -> None:
        """Log it."""
        self._log.warning(
            "slow_hook_ended", plugin=standing.plugin, hook=standing.hook or "?", seconds=round(seconds, 3)
        )

    def _put_off(self) -> None:
        self._rings = 0
        goes_on = self._set(0.75 * self._limit_seconds)
        self._detector.rest(time.monotonic())
        if goes_on:
            self._reactor.call_later(self._limit_seconds / 2, self._put_off)

    def _rang(self, frame: FrameType) -> None:
        # A look that takes long, because of a slow disk for one, is not looked at.
        if not self._looking:
            self._looking = True
            self._look(frame)
            self._looking = False
        self._rings += 1
        # Each is a byte in the socket that signals come by, which nobody reads now and which has room for some 280.
        rarer = 2.0 ** max(0, self._rings - _QUICK_RINGS)
        self._set(min(0.25 * self._limit_seconds * rarer, _LONGEST_PAUSE))

    def _look(self, frame: FrameType) -> None:
        progress, now = self._progress(), time.monotonic()
        # Python calls as soon as it can. Since it should have been called, what it finds has not let go.
        for moment in (min(self._rings_at, now), now):
            self._detector.look(progress, moment, lambda: self._locate(frame))

    def _set(self, seconds: float) -> bool:
        self._rings_at = time.monotonic() + seconds
        return self._alarm.ring_in(seconds)
