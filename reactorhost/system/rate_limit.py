"""Limit how often a line is logged: a number of lines for each window of time, and a count of the suppressed ones.

Nothing here reads a clock: `now` is monotonic seconds, passed in.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

_MOST_KEYS = 200


@dataclass(slots=True)
class _Window:
    began: float = -math.inf
    admitted: int = 0
    suppressed: int = 0


class RateLimit:
    """Admits `most` lines in each window of `seconds`, separately for each key.

    A window begins with the first line after the previous window has ended. With `seconds=math.inf` it ends only by
    `reset()`: a condition is logged once until it is over. Of many keys the 200 used last are remembered, so that keys
    made from client data cannot fill the memory.
    """

    def __init__(self, most: int, seconds: float = 1.0) -> None:
        self._most = most
        self._seconds = seconds
        self._windows: dict[Hashable, _Window] = {}

    def admits(self, now: float, key: Hashable = None) -> bool:
        """Count a line and return whether to log it; one that is not logged counts as suppressed."""
        if self.has_room(now, key):
            self.note_logged(now, key)
            return True
        self.note_suppressed(key)
        return False

    def has_room(self, now: float, key: Hashable = None) -> bool:
        """Return whether a line would be admitted, without counting it."""
        window = self._windows.get(key)
        return window is None or window.admitted < self._most or now - window.began >= self._seconds

    def note_logged(self, now: float, key: Hashable = None) -> None:
        """Count a line that is logged."""
        window = self._touch(key)
        if now - window.began >= self._seconds:
            window.began, window.admitted = now, 0
        window.admitted += 1

    def note_suppressed(self, key: Hashable = None) -> None:
        """Count a line that is not logged."""
        self._touch(key).suppressed += 1

    def take_suppressed(self, key: Hashable = None) -> int:
        """Return how many lines were suppressed since the last call."""
        window = self._windows.get(key)
        if window is None:
            return 0
        count, window.suppressed = window.suppressed, 0
        return count

    def reset(self, key: Hashable = None) -> None:
        """End the window and forget its count."""
        self._windows.pop(key, None)

    def _touch(self, key: Hashable) -> _Window:
        """Return the window of a key as the one used last."""
        window = self._windows.pop(key, None) or _Window()
        if len(self._windows) >= _MOST_KEYS:
            del self._windows[next(iter(self._windows))]
        self._windows[key] = window
        return window
