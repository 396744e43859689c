"""Numbers of messages, counted by their publisher for each key: they show what is missing and what came twice.

What is remembered is bounded. A key that is forgotten continues above every number that was forgotten, so that no
number is used twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

MOST_KEYS = 65_536


class Numbers:
    """Numbers the messages of one publisher, from 1 for each key."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._last: OrderedDict[str, int] = OrderedDict()
        self._forgotten = 0

    def next(self, key: str) -> int:
        """Return the number of the next message of a key."""
        number = self._last.pop(key, self._forgotten) + 1
        self._last[key] = number
        if len(self._last) > self._most:
            self._forgotten = max(self._forgotten, self._last.popitem(last=False)[1])
        return number

    def last(self, key: str) -> int | None:
        """Return the number of the last message of a key, or None if it is forgotten."""
        return self._last.get(key)


class ReceivedNumbers:
    """The highest number that was received of each origin and key; each origin's messages of a key are in order."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._last: OrderedDict[tuple[Hashable, str], int] = OrderedDict()

    def admits(self, origin: Hashable, key: str, number: int) -> bool:
        """Note a message; returns False if it was received before. 0, not numbered, is always admitted."""
        if number == 0:
            return True
        last = self._last.pop((origin, key), 0)
        self._last[origin, key] = max(last, number)
        if len(self._last) > self._most:
            self._last.popitem(last=False)
        return number > last
