"""Timers: calls to be made at a time, the soonest first.

Nothing here reads a clock or waits: `now` is a parameter, in monotonic seconds.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

_COMPACT_ABOVE = 64
# How much too early a loop may call a timer: asyncio rounds to the resolution of its clock.
_EARLY_SECONDS = 0.01


def next_second(now: float) -> float:
    """Return the next whole second of the clock: timers that are due at the same time wake a process once."""
    return math.floor(now + _EARLY_SECONDS) + 1.0


class TimerHandle:
    """One call to be made; its callback is None once it was made or cancelled."""

    __slots__ = ("_timers", "args", "callback", "when")

    def __init__(self, timers: Timers, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._timers = timers
        self.when = when
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """Do not make the call, and drop what it refers to; without effect once it was made."""
        if self.callback is not None:
            self.callback = None
            self.args = ()
            self._timers.note_cancelled()


class Timers:
    """A heap of timers.

    A cancelled timer stays in the heap until it is due, because taking it out would be a search; but once more than
    half of the heap is cancelled, all of these are removed.

    Attributes:
        soonest: when the first of the heap is due, cancelled or not; infinity when the heap is empty.
    """

    __slots__ = ("_cancelled", "_heap", "_sequence", "soonest")

    def __init__(self) -> None:
        self.soonest = math.inf
        self._heap: list[tuple[float, int, TimerHandle]] = []
        self._sequence = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def add(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> TimerHandle:
        """Add a call of `callback(*args)` at `when`; equal times keep their order."""
        timer = TimerHandle(self, when, callback, args)
        # Keeps equal times in order, and the heap from comparing handles, which have no order.
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer))
        self.soonest = self._heap[0][0]
        return timer

    def pop_due(self, now: float) -> list[TimerHandle]:
        """Remove and return the timers that are due, the soonest first.

        The call of one may cancel another one of the list, whose callback is None from then on.
        """
        due: list[TimerHandle] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            if timer.callback is None:
                self._cancelled -= 1
            else:
                due.append(timer)
        self._update_soonest()
        return due

    def note_cancelled(self) -> None:
        """Count one more cancelled timer, and remove all of them when they are more than half."""
        self._cancelled += 1
        if self._cancelled > _COMPACT_ABOVE and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0
            self._update_soonest()

    def _update_soonest(self) -> None:
        self.soonest = self._heap[0][0] if self._heap else math.inf
