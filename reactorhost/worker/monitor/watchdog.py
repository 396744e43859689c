"""The watchdog: logs which plugin code blocks the event loop, while it still does.

A timer of the loop sets the alarm again and again, always before it goes off. When the loop does not get to its timers,
the alarm goes off, and then repeatedly and less and less often until the loop turns. The signal handler runs on top of
the code that blocks the loop, so it gets the stack that names that code, even if it never returns. A busy loop costs a
system call in each half of the limit, and no signal.

An idle loop has no timer of this kind. The alarm is set to a time that the loop does not reach without a turn, and
what wakes the loop sets it again first. Only tasks of asyncio run without a turn of the reactor, so a worker with async
hooks is not idle before it has been quiet for a second.

Time that the process was ready to run and had no processor does not count towards the limit: the code did not use it.
What is reported is how long the clients wait, so that time is in it.

A thread would do the same job at a higher price: a process with a second thread takes locks in `malloc` and counts
references to descriptors in every system call, which is 4 % of a 64-byte echo.

What blocks the loop is also on the worker's page of the scoreboard, from the limit on and until the loop turns. That is
neither limited nor a line that has to be read: the master shows it while it lasts.

C code is named after it has returned, and so is a system call that the kernel restarts after a signal (SA_RESTART):
without that, a call of a C library that does not expect signals would fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from reactorhost.ipc.stall import Stall
from reactorhost.logs import EventLog
from reactorhost.plugins.attribution import StackPosition
from reactorhost.reactor import Reactor
from reactorhost.system import procfs
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.process.alarm import Alarm

_LINE_SECONDS = 1.0
_SAME_PLACE_SECONDS = 60.0
_FREQUENT_ALARMS = 16
_LONGEST_PAUSE_SECONDS = 3600.0
# More than the time between two turns of an idle loop, which stores a heartbeat once a second.
_IDLE_ALARM_SECONDS = 1.5
# Above, two timers within the limit are few.
_LONGEST_IDLE_LIMIT_SECONDS = 0.5
# The turn of the watchdog's own timer, and one of a heartbeat.
_QUIET_TURNS = 2


class StallReporter(Protocol):
    """Reports stalls of the loop."""

    def stall_at(self, standing: StackPosition, seconds: float) -> None:
        """Note what has blocked the loop for `seconds`, at each check that finds it past the limit."""

    def stall_over(self) -> None:
        """Note that the loop turned, after `stall_at`."""

    def stall_found(self, standing: StackPosition, seconds: float, suppressed: int) -> None:
        """Report code that has blocked the loop for `seconds` and still does."""

    def stall_ended(self, standing: StackPosition, seconds: float) -> None:
        """Report that reported code has returned after `seconds`."""


class StallDetector:
    """Decides from repeated checks of a loop what to report. Nothing here reads a clock.

    `now` is in seconds without those in which the process waited for a processor, and `waited` is the sum of these.

    At most one line a second is reported, and one a minute for each place in the code.
    """

    def __init__(self, limit_seconds: float, reporter: StallReporter) -> None:
        self._limit_seconds = limit_seconds
        self._reporter = reporter
        self._progress: int | None = None
        self._since = 0.0
        self._waited_before = 0.0
        self._noted = False
        self._reported: StackPosition | None = None
        self._suppressed_place: str | None = None
        self._lines = RateLimit(1, _LINE_SECONDS)
        self._lines_of_places = RateLimit(1, _SAME_PLACE_SECONDS)

    def check(self, progress: int, now: float, locate: Callable[[], StackPosition | None], waited: float = 0.0) -> None:
        """Check once; `locate` is called when the place in the code matters."""
        if progress != self._progress:
            self._begin(progress, now, waited)
        elif now - self._since >= self._limit_seconds:
            standing = locate()
            if standing is None:
                return
            self._noted = True
            held_seconds = self._held_seconds(now, waited)
            self._reporter.stall_at(standing, held_seconds)
            if self._reported is None:
                self._report(standing, now, held_seconds)

    def idle(self, now: float, waited: float = 0.0) -> None:
        """Note that the loop turned."""
        self._begin(None, now, waited)

    def _held_seconds(self, now: float, waited: float) -> float:
        return now - self._since + waited - self._waited_before

    def _begin(self, progress: int | None, now: float, waited: float) -> None:
        """End the period in which the loop made no progress, and begin the next one."""
        reported, suppressed_place, seconds = self._reported, self._suppressed_place, self._held_seconds(now, waited)
        # Before reporting: the alarm may interrupt a log line that takes long, and checks again.
        self._progress, self._since, self._waited_before = progress, now, waited
        self._reported = self._suppressed_place = None
        if self._noted:
            self._noted = False
            self._reporter.stall_over()
        if reported is not None:
            self._reporter.stall_ended(reported, seconds)
        elif suppressed_place is not None:
            self._lines_of_places.note_suppressed(suppressed_place)

    def _report(self, standing: StackPosition, now: float, held_seconds: float) -> None:
        place = standing.where
        if not (self._lines.has_room(now) and self._lines_of_places.has_room(now, place)):
            # It is reported later if it still blocks then, so it counts as suppressed only when it has ended.
            self._suppressed_place = self._suppressed_place or place
            return
        self._reporter.stall_found(standing, held_seconds, self._lines_of_places.take_suppressed(place))
        self._lines.note_logged(now)
        self._lines_of_places.note_logged(now, place)
        self._reported = standing


@dataclass(slots=True, eq=False, repr=False)
class Watchdog:
    """Watches the loop of its thread, which must be the main thread: Python runs signal handlers there only.

    `progress` returns a number that changes whenever the loop, or a callback within a turn, has advanced. It is called
    in the signal handler, on top of the code that blocks the loop. `locate` returns the place in a plugin's code that a
    stack runs, or None when it runs none. `note` stores what blocks the loop, or None, and is called in the handler
    too. A loop is idle when it was quiet for `quiet_seconds`.
    """

    reactor: Reactor
    alarm: Alarm
    limit_seconds: float
    progress: Callable[[], int]
    locate: Callable[[FrameType], StackPosition | None]
    note: Callable[[Stall | None], object]
    log: EventLog
    quiet_seconds: float = 0.0
    _detector: StallDetector = field(init=False)
    _turns: int = field(default=0, init=False)
    _active_at: float = field(default=0.0, init=False)
    _alarms: int = field(default=0, init=False)
    _alarm_at: float = field(default=0.0, init=False)
    _checking: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._detector = StallDetector(self.limit_seconds, self)

    def start(self) -> None:
        """Watch from now on."""
        self.alarm.watch(self._alarm_went_off)
        self._postpone()

    def stop(self) -> None:
        """Stop watching, when the loop has ended."""
        self.alarm.stop()
        # What blocked its last turn does not block what follows.
        self._detector.idle(*_now())

    def stall_at(self, standing: StackPosition, seconds: float) -> None:
        """Store the code that blocks the loop, for the master."""
        since = time.monotonic() - seconds
        self.note(Stall(standing.plugin, standing.hook or "?", standing.where, since, standing.peer))

    def stall_over(self) -> None:
        """Store that the loop turns."""
        self.note(None)

    def stall_found(self, standing: StackPosition, seconds: float, suppressed: int) -> None:
        """Log the code that blocks the loop."""
        self.log.warning(
            "slow_hook",
            plugin=standing.plugin,
            hook=standing.hook or "?",
            where=standing.where,
            **_peer(standing),
            seconds=round(seconds, 3),
            **({"suppressed": suppressed} if suppressed else {}),
        )

    def stall_ended(self, standing: StackPosition, seconds: float) -> None:
        """Log that the code has returned."""
        self.log.warning(
            "slow_hook_ended",
            plugin=standing.plugin,
            hook=standing.hook or "?",
            **_peer(standing),
            seconds=round(seconds, 3),
        )

    def _look(self) -> None:
        """Watch on, unless the loop is idle."""
        now, waited = _now()
        turns, self._turns = self.reactor.turns - self._turns, self.reactor.turns
        quiet = turns <= _QUIET_TURNS and self.limit_seconds < _LONGEST_IDLE_LIMIT_SECONDS
        if not quiet:
            self._active_at = now
        if not quiet or now - self._active_at < self.quiet_seconds:
            self._postpone()
        elif self._begin(_IDLE_ALARM_SECONDS, now, waited):
            self.reactor.call_when_woken(self._postpone)

    def _postpone(self, _by_descriptor: bool = True) -> None:
        # A loop that turns comes here at each half of the limit, before the alarm goes off.
        if self._begin(0.75 * self.limit_seconds, *_now()):
            self.reactor.call_later(self.limit_seconds / 2, self._look)

    def _begin(self, seconds: float, now: float, waited: float) -> bool:
        self._alarms = 0
        active = self._set(seconds, now)
        self._detector.idle(now, waited)
        return active

    def _alarm_went_off(self, frame: FrameType) -> None:
        # An alarm may interrupt a check that takes long, for example because a log line waits for a slow disk.
        if not self._checking:
            self._checking = True
            self._check(frame)
            self._checking = False
        self._alarms += 1
        # Less and less often: each signal is also a byte in the wake-up socket, which is not read while the loop is
        # blocked and has room for some 280.
        factor = 2.0 ** max(0, self._alarms - _FREQUENT_ALARMS)
        self._set(min(0.25 * self.limit_seconds * factor, _LONGEST_PAUSE_SECONDS), _now()[0])

    def _check(self, frame: FrameType) -> None:
        progress, (now, waited) = self.progress(), _now()
        # Python may run the handler late. The code that it finds has run since the moment that the alarm was due, or
        # Python would have run the handler earlier; so that moment is checked too.
        for moment in (min(self._alarm_at, now), now):
            self._detector.check(progress, moment, lambda: self.locate(frame), waited)

    def _set(self, seconds: float, now: float) -> bool:
        self._alarm_at = now + seconds
        return self.alarm.set(seconds)


def _peer(standing: StackPosition) -> dict[str, str]:
    return {} if standing.peer is None else {"peer": standing.peer}


def _now() -> tuple[float, float]:
    """Return monotonic seconds without those in which the process has waited for a processor, and these."""
    waited = procfs.waited_seconds()
    return time.monotonic() - waited, waited
