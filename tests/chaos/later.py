"""Calls that are due later: the ends of actions that last for a while."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from itertools import count


class Later:
    """Calls in the order of their moments."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()

    def add(self, seconds: float, call: Callable[[], object]) -> None:
        """Make a call in so many seconds."""
        heapq.heappush(self._calls, (time.monotonic() + seconds, next(self._order), call))

    def turn(self) -> None:
        """Make the calls that are due."""
        while self._calls and self._calls[0][0] <= time.monotonic():
            heapq.heappop(self._calls)[2]()

    def hurry(self) -> None:
        """Make all calls now."""
        while self._calls:
            heapq.heappop(self._calls)[2]()
