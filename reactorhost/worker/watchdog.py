"""The watchdog: names the code of a plugin that holds the loop, while it does.

A thread of its own looks at intervals whether the loop makes progress. The loop pays nothing for it: progress is what
is counted anyway. Where the loop stands is read off the main thread's stack, so a hook that never returns is named too.

It cannot look while C code holds the interpreter's lock; that is told when the lock is free again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from reactorhost.logs import EventLog
from reactorhost.plugins.blame import Standing

_LINE_SECONDS = 1.0
_SAME_PLACE_SECONDS = 60.0
_MOST_PLACES = 200

Locate = Callable[[FrameType], Standing | None]
"""Returns where in a plugin's code a stack stands, or None when it stands in none."""


class Stand(Protocol):
    """Who hears of what holds the loop, in the watchdog's thread."""

    def holds(self, standing: Standing, seconds: float, suppressed: int) -> None:
        """Tell of code that holds the loop for so long already."""

    def held(self, standing: Standing, seconds: float) -> None:
        """Tell that it returned, after so long in all."""


@dataclass(slots=True)
class _Place:
    told_at: float
    suppressed: int = 0


class Vigil:
    """Decides what to say of looks at a loop. Nothing here reads a clock or waits: `now` is monotonic seconds.

    At most one line a second is told, and one a minute for each place.
    """

    def __init__(self, limit_seconds: float, stand: Stand) -> None:
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
    """The thread that looks at the loop of the thread that made it.

    `progress` returns a number that changes whenever the loop, or what it calls, came further. It is called in the
    watchdog's thread, and not while `rests` of the stack says that the loop waits for something to do.
    """

    def __init__(
        self,
        limit_seconds: float,
        progress: Callable[[], int],
        rests: Callable[[FrameType], bool],
        locate: Locate,
        log: EventLog,
    ) -> None:
        self._limit_seconds = limit_seconds
        self._progress = progress
        self._rests = rests
        self._locate = locate
        self._log = log
        self._watched = threading.get_ident()
        self._vigil = Vigil(limit_seconds, self)
        # Held by whoever wants it to look; what it waits for, and is never given, is the lock.
        self._on = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._forks = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look from now on."""
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork)
        self._wanted = True
        self._run()

    def stop(self) -> None:
        """Look no more; returns when the thread has ended."""
        self._wanted = False
        self._end()

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

    def _run(self) -> None:
        self._on.acquire()
        self._thread = threading.Thread(target=self._watch, name="reactorhost-watchdog", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._on.release()
            thread.join()

    def _watch(self) -> None:
        # Two looks within the limit: a third then finds what began between the first two.
        while not self._on.acquire(timeout=self._limit_seconds / 2):
            if self._rests(self._innermost()):
                self._vigil.rest(time.monotonic())
            else:
                self._vigil.look(self._progress(), time.monotonic(), self._stand_of_loop)
        self._on.release()

    def _stand_of_loop(self) -> Standing | None:
        # The frames must be let go before anything is written: what a frame held to the last would end in this thread.
        return self._locate(self._innermost())

    def _innermost(self) -> FrameType:
        return sys._current_frames()[self._watched]  # noqa: SLF001  there is no other way to another's stack

    # A plugin's own child has no use for the thread, and CPython warns when a process with threads forks.

    def _before_fork(self) -> None:
        # Two threads of a plugin may fork at once.
        with self._lock:
            self._forks += 1
            self._end()

    def _after_fork(self) -> None:
        with self._lock:
            self._forks -= 1
            if self._wanted and not self._forks:
                self._run()
