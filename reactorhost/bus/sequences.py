"""Sequence numbers of the messages that each worker sends with each key: given on one side, checked on the other.

Both sides remember a bounded number of keys. A sender that has forgotten a key goes on above every number that it has
given, and says that a sequence begins. So a receiver never takes a new message for an old one, and a gap is reported
only if something is missing.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

MOST_KEYS = 100_000


class Sent(NamedTuple):
    """The sequence number of a message; `begins`: there is none that it follows."""

    number: int
    begins: bool


class SentSequences:
    """The sequences of one sender."""

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._last: dict[str, int] = {}
        self._highest_forgotten = 0

    def next(self, key: str) -> Sent:
        """Return the number of the next message with a key."""
        last = self._last.get(key)
        if last is not None:
            self._last[key] = last + 1
            return Sent(last + 1, begins=False)
        if len(self._last) >= self._most_keys:
            # The key that began first: to find the one that was used least would cost each message something.
            forgotten = self._last.pop(next(iter(self._last)))
            self._highest_forgotten = max(self._highest_forgotten, forgotten)
        self._last[key] = number = self._highest_forgotten + 1
        return Sent(number, begins=True)

    def last(self, key: str) -> int | None:
        """Return the number of the last message with a key, None if it is forgotten."""
        return self._last.get(key)


class Arrival(enum.Enum):
    """What a message is among those of its sender and key."""

    NEXT = "next"
    """The one that was expected, as far as is known."""
    REPEATED = "repeated"
    """It was received before."""
    AFTER_GAP = "after gap"
    """One or more before it are missing."""


class ReceivedSequences:
    """The last number of each sender and key that was received.

    After `interrupt`, the first message of each is `NEXT` although some are missing: that they
    are is known already.
    """

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        # By key and sender: the number, and the interruptions until then.
        self._last: dict[str, dict[bytes, tuple[int, int]]] = {}
        self._interruptions = 0

    def interrupt(self) -> None:
        """Note that messages of every sender and key may be missing from here on."""
        self._interruptions += 1

    def arrival(self, key: str, sender: bytes, number: int, *, begins: bool) -> Arrival:
        """Return what a message is; `note` is for one that is handled."""
        # A sender that is unknown is like one before an interruption.
        last, interruptions = self._last.get(key, _NOTHING).get(sender, (0, -1))
        if number <= last:
            return Arrival.REPEATED
        expected = begins or number == last + 1 or interruptions != self._interruptions
        return Arrival.NEXT if expected else Arrival.AFTER_GAP

    def note(self, key: str, sender: bytes, number: int) -> None:
        """Note the number of a message."""
        senders = self._last.get(key)
        if senders is None:
            if len(self._last) >= self._most_keys:
                del self._last[next(iter(self._last))]
            senders = self._last[key] = {}
        senders[sender] = number, self._interruptions

    def last(self, key: str, sender: bytes) -> int | None:
        """Return the last number of a sender and key, None if nothing is known of it."""
        found = self._last.get(key, {}).get(sender)
        return None if found is None else found[0]

    def known_keys(self) -> list[str]:
        """Return the keys of which something is known."""
        return list(self._last)

    def forget(self, key: str) -> None:
        """Forget a key that is not received any more."""
        self._last.pop(key, None)


_NOTHING: dict[bytes, tuple[int, int]] = {}
