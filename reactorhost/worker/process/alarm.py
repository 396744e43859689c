"""The one alarm timer of a worker: used by the watchdog, until TERM claims it to end a stuck process.

A process has one real-time interval timer (setitimer(2)) and one handler for SIGALRM, so two uses share them:

- the watchdog calls `set` again and again and gets the stack of whatever blocks the loop;
- after TERM the default action of SIGALRM, which is carried out by the kernel, ends a process whose loop never turns.

Python runs a signal handler between any two bytecodes of the main thread, so the handler of TERM may run in the middle
of every function here. Hence the order in each of them: `_end_at` is set first in `end_in`, and checked last elsewhere.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

_ORPHAN_SECONDS = 1.5
_SOONEST_SECONDS = 0.001

OnAlarm = Callable[[FrameType], object]
"""Called when the alarm goes off, with the stack that it interrupts."""


class Alarm:
    """SIGALRM and the timer that sends it; for the main thread only."""

    def __init__(self) -> None:
        # On the monotonic clock; infinity until TERM.
        self._end_at = math.inf
        self._on_alarm: OnAlarm | None = None
        self._orphaned = False

    def end_when_stuck(self, seconds: float, master_pid: int) -> None:
        """Make TERM end the process after `seconds`, even if its loop never turns again.

        A worker that is stuck in plugin code reads no orders and does not notice the end of its master. Without a
        master (the parent is another process) it has 1.5 s only, because the next host waits for the addresses; the
        loop, if it turns, sets the alarm to a later time by `end_in`.

        The kernel may report the end of the master by QUIT, which becomes TERM here. Not at once: Python would log that
        an alarm which is pending too has lost its handler, and calls the handlers of all that are pending in the order
        of their numbers.

        Call this after `Reactor.watch_signals`: these handlers call the reactor's.
        """
        on_term, on_quit = (signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGQUIT))

        def arm(number: int, frame: FrameType | None) -> None:
            self.end_in(seconds if os.getppid() == master_pid else _ORPHAN_SECONDS)
            if callable(on_term):
                on_term(number, frame)

        def quit_or_term(number: int, frame: FrameType | None) -> None:
            if not self._orphaned and os.getppid() != master_pid:
                self._orphaned = True
                signal.raise_signal(signal.SIGTERM)
            elif callable(on_quit):
                on_quit(number, frame)

        signal.signal(signal.SIGTERM, arm)
        signal.signal(signal.SIGQUIT, quit_or_term)

    def end_in(self, seconds: float) -> None:
        """Let the alarm end the process in `seconds`; from now on it has no other use."""
        self._end_at = time.monotonic() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)
        # After the timer: the one that was set before could go off in between and end the process early.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def watch(self, on_alarm: OnAlarm) -> None:
        """Call `on_alarm` whenever the alarm goes off, until TERM."""
        self._on_alarm = on_alarm
        signal.signal(signal.SIGALRM, self._handle)
        # Calls of C libraries are continued by the kernel where it can, those of Python continue in any case.
        signal.siginterrupt(signal.SIGALRM, False)
        if self._end_at < math.inf:
            # TERM came before or between: its default action was just replaced.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def set(self, seconds: float) -> bool:
        """Let the alarm go off once in `seconds`, and not earlier; returns False once it is reserved for the end."""
        if self._end_at == math.inf and self._has_handler():
            signal.setitimer(signal.ITIMER_REAL, seconds)
        return self._restore_end()

    def stop(self) -> None:
        """Clear the alarm and its handler, also in a process that a plugin forked."""
        if self._has_handler():
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self._restore_end():
                signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _has_handler(self) -> bool:
        # A plugin may use the signal for itself.
        return signal.getsignal(signal.SIGALRM) == self._handle

    def _restore_end(self) -> bool:
        """Set the timer to the end again if TERM has come, maybe just before the caller changed the timer."""
        if self._end_at < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(_SOONEST_SECONDS, self._end_at - time.monotonic()))
            return False
        return self._has_handler()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._on_alarm is not None and frame is not None:
            self._on_alarm(frame)
