"""Which messages of a sender and key are missing, by their numbers (`bus.numbers`).

A bounded number of keys is remembered, by the sender too. One that has forgotten a key goes on above every number that
it has given, and says that its numbers begin. So no new message is taken for an old one, and a gap is reported only if
something is missing.
"""

from __future__ import annotations

import enum

from reactorhost.bus.numbers import MOST_KEYS


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
