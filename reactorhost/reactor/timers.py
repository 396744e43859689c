"""Timers: calls that wait for their time, the soonest first.

Nothing here reads a clock or waits: `now` comes in as a value, monotonic seconds.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

_COMPACT_ABOVE = 64


class Timer:
    """One call that waits; `cancel()` forgets it."""

    __slots__ = ("_timers", "args", "callback", "when")

    def __init__(self, timers: Timers, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._timers = timers
        self.when = when
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """Forget the call; nothing happens when it was made already."""
        if self.callback is not None:
            self.callback = None
            self.args = ()
            self._timers.note_cancelled()


class Timers:
    """A heap of timers; a cancelled one stays in it until it is due, or until half of the heap is cancelled.

    Attributes:
        soonest: when the first of the heap is due, cancelled or not; infinity when there is none.
    """

    __slots__ = ("_cancelled", "_heap", "_sequence", "soonest")

    def __init__(self) -> None:
        self.soonest = math.inf
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def add(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> Timer:
        """Remember to call `callback(*args)` at `when`; equal times keep their order."""
        timer = Timer(self, when, callback, args)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer))
        self.soonest = self._heap[0][0]
        return timer

    def next_at(self) -> float | None:
        """Return when the soonest timer is due, or None without one."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        self._note_soonest()
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> list[Timer]:
        """Take out and return the timers that are due, the soonest first.

        One that is cancelled by a call made before it in the same turn has lost its callback: look before calling.
        """
        due: list[Timer] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            if timer.callback is None:
                self._cancelled -= 1
            else:
                due.append(timer)
        self._note_soonest()
        return due

    def note_cancelled(self) -> None:
        """Count one more cancelled timer, and sweep them out when they are the larger half."""
        self._cancelled += 1
        if self._cancelled > _COMPACT_ABOVE and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0
            self._note_soonest()

    def _note_soonest(self) -> None:
        self.soonest = self._heap[0][0] if self._heap else math.inf
