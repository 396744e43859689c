"""Numbers of messages, counted by their publisher for each key: they show what is missing and what came twice.

There are two kinds: the numbers of the history, and the sequence numbers of what a backend carries (`bus.envelope`).

What is remembered is bounded, by both sides. A publisher that has forgotten a key continues above every number that it
has forgotten, and can say that its numbers begin there. So no number is used twice, no new message is taken for an old
one, and a gap is reported only if something is missing.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Hashable

MOST_KEYS = 65_536
"""Keys that a publisher remembers, and pairs of a publisher and a key that a receiver does."""


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


class Arrival(enum.Enum):
    """What a message is among those of its publisher and key."""

    NEXT = "next"
    """The one that was expected, as far as is known."""
    REPEATED = "repeated"
    """It was received before."""
    AFTER_GAP = "after gap"
    """One or more before it are missing."""


class ReceivedNumbers:
    """The last number that was received of each publisher and key.

    After `interrupt`, the first message of each is `NEXT` although some are missing: that they are is known already.
    """

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        # By key and publisher: the number, and the interruptions until then. The keys used last are at the end.
        self._last: OrderedDict[str, dict[Hashable, tuple[int, int]]] = OrderedDict()
        self._size = 0
        self._interruptions = 0

    def admits(self, key: str, publisher: Hashable, number: int) -> bool:
        """Note a message; returns False if it was received before. 0, not numbered, is always admitted."""
        if number == 0:
            return True
        if self.arrival(key, publisher, number) is Arrival.REPEATED:
            return False
        self.note(key, publisher, number)
        return True

    def arrival(self, key: str, publisher: Hashable, number: int, *, begins: bool = False) -> Arrival:
        """Return what a message is; `note` is for one that is handled."""
        # A publisher that is unknown is like one before an interruption.
        last, interruptions = self._last.get(key, _NOTHING).get(publisher, (0, -1))
        if number <= last:
            return Arrival.REPEATED
        expected = begins or number == last + 1 or interruptions != self._interruptions
        return Arrival.NEXT if expected else Arrival.AFTER_GAP

    def note(self, key: str, publisher: Hashable, number: int) -> None:
        """Note the number of a message."""
        publishers = self._last.pop(key, None)
        self._last[key] = publishers = {} if publishers is None else publishers
        if publishers.pop(publisher, None) is None:
            self._size += 1
        publishers[publisher] = number, self._interruptions
        while self._size > self._most:
            self._forget_oldest()

    def interrupt(self) -> None:
        """Note that messages of every publisher and key may be missing from here on."""
        self._interruptions += 1

    def last(self, key: str, publisher: Hashable) -> int | None:
        """Return the last number of a publisher and key, None if nothing is known of it."""
        found = self._last.get(key, _NOTHING).get(publisher)
        return None if found is None else found[0]

    def known_keys(self) -> list[str]:
        """Return the keys of which something is known."""
        return list(self._last)

    def forget(self, key: str) -> None:
        """Forget a key that is not received any more."""
        self._size -= len(self._last.pop(key, ()))

    def _forget_oldest(self) -> None:
        key, publishers = next(iter(self._last.items()))
        # Not the whole key: publishers end, and the only key may have had very many.
        del publishers[next(iter(publishers))]
        self._size -= 1
        if not publishers:
            del self._last[key]


_NOTHING: dict[Hashable, tuple[int, int]] = {}
