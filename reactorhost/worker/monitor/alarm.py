"""The one alarm of a worker: the watchdog's, until TERM takes it for the worker's own end.

Signals reach Python code between any two instructions, so TERM may come in the middle of every function here.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

_ORPHAN_SECONDS = 1.5

Rang = Callable[[FrameType], object]
"""Called when the alarm rings, with the stack that it rings on top of."""


class Alarm:
    """SIGALRM and the timer that sends it; from the main thread only."""

    def __init__(self) -> None:
        # On the monotonic clock; infinity until the worker is to leave.
        self._end_at = math.inf
        self._rang: Rang | None = None

    def end_when_stuck(self, seconds: float, master_pid: int) -> None:
        """Let TERM end the process in C after `seconds`, should its loop never turn again.

        A worker stuck in a plugin reads neither orders nor the end of its master, and nobody else is left to end it
        then. Without a master it is soon, because the next host waits for the addresses; a loop that does turn puts
        the end off. Call it after TERM was given to the reactor.
        """

        def arm(number: int, frame: FrameType | None) -> None:
            self.end_in(seconds if os.getppid() == master_pid else _ORPHAN_SECONDS)

        signal.signal(signal.SIGTERM, arm)

    def end_in(self, seconds: float) -> None:
        """Let the alarm end the process in `seconds`, whatever was set before; nobody else has it from then on."""
        self._end_at = time.monotonic() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)
        # Only now: what was set before could ring first.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def watch(self, rang: Rang) -> None:
        """Call `rang` whenever it rings, as long as the worker is not to leave."""
        self._rang = rang
        signal.signal(signal.SIGALRM, self._ring)
        if self._end_at < math.inf:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def ring_in(self, seconds: float) -> bool:
        """Let it ring once in `seconds`, whatever was set before; False when it is for the worker's end."""
        if self._end_at == math.inf and self._is_ours():
            signal.setitimer(signal.ITIMER_REAL, seconds)
        return self._ours_still()

    def stop(self) -> None:
        """Ring no more, in a child of a plugin too."""
        if self._is_ours():
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self._ours_still():
                signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _is_ours(self) -> bool:
        # A plugin may have taken the signal for itself.
        return signal.getsignal(signal.SIGALRM) == self._ring

    def _ours_still(self) -> bool:
        """Tell whether TERM has not come; if it came in the middle, give it its alarm back."""
        if self._end_at < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, self._end_at - time.monotonic()))
            return False
        return self._is_ours()

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._rang is not None and frame is not None:
            self._rang(frame)
