"""A limit to lines of the log that strangers can cause: a few a second, the rest is counted."""

from __future__ import annotations


class RateLimit:
    """Lets `most` lines through in each second; `now` is monotonic seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second_began = float("-inf")
        self._let_through = 0
        self._held_back = 0

    def admits(self, now: float) -> bool:
        """Count one line, and say whether it is written."""
        if now - self._second_began >= 1.0:
            self._second_began = now
            self._let_through = 0
        if self._let_through < self._most:
            self._let_through += 1
            return True
        self._held_back += 1
        return False

    def take_held_back(self) -> int:
        """Return how many lines were not written, and count from 0 again."""
        count, self._held_back = self._held_back, 0
        return count
