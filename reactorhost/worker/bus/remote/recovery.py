"""Reads what was missed out of the stored messages of a backend, and delivers it before what has arrived since.

After a connection that was lost, every key may have missed messages. The keys without history are reported at once. Of
each other one the stored messages are read, and what arrives meanwhile is held.

What is missing are the stored messages behind the last one that this worker has received: the backend has stored them
in the order in which it has sent them. Those before it are old, also those of senders that this worker does not know,
because it wants the key only since. Nothing is missing any more if the last one received is among the stored ones, and
the messages of each sender follow each other. If nothing is stored, the server may have lost it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from reactorhost.bus.backend import Keep
from reactorhost.bus.envelope import Envelope
from reactorhost.bus.names import GROUP
from reactorhost.bus.numbers import ReceivedNumbers
from reactorhost.worker.bus.contract import Inbound

MOST_READS = 100
MOST_HELD_BYTES = 16 << 20

# An estimate of what a message that is held occupies besides its data.
_ENVELOPE_BYTES = 200

KeepOf = Callable[[str], Keep | None]
"""Returns how much of a key is kept, None for nothing."""


class ReadStored(Protocol):
    """Reads the newest stored messages of a key."""

    def __call__(self, key: str, most: int, on_result: Callable[[list[Envelope] | None], object], /) -> None:
        """Call `on_result` with the messages, the newest last, or with None if they cannot be read."""


class Recovery:
    """The keys of one worker that are read again.

    `host` is the worker's own: its messages are received on another way.
    """

    def __init__(self, host: bytes, read: ReadStored, seen: ReceivedNumbers, inbound: Inbound, keep_of: KeepOf) -> None:
        self._host = host
        self._read = read
        self._seen = seen
        self._inbound = inbound
        self._keep_of = keep_of
        # What has arrived of each key since, in order.
        self._held: dict[str, list[Envelope]] = {}
        self._held_bytes = 0
        self._unread: deque[str] = deque()
        self._reads = 0

    def begin(self, patterns: Iterable[str]) -> None:
        """Read all keys again that are known, and report those of the patterns that cannot be read."""
        keys = [key for key in self._seen.known_keys() if self._keep_of(key) is not None]
        lost = []
        for pattern in patterns:
            if not pattern.endswith("*") and self._keep_of(pattern) is not None:
                keys.append(pattern)
            # A pattern of groups is wanted for the history only, and no connection is a member of a pattern.
            elif not (pattern.endswith("*") and pattern.startswith(GROUP)):
                lost.append(pattern)
        if lost:
            self._inbound.missed(None, lost, False)
        for key in dict.fromkeys(keys):
            self._begin(key)

    def begin_with(self, key: str, envelope: Envelope) -> None:
        """Read a key again because messages are missing before this one."""
        self._begin(key)
        self.holds(key, envelope)

    def holds(self, key: str, envelope: Envelope) -> bool:
        """Hold a message if its key is being read; returns whether it is."""
        held = self._held.get(key)
        if held is None:
            return False
        held.append(envelope)
        self._held_bytes += _size(envelope)
        if self._held_bytes > MOST_HELD_BYTES:
            self._end(key, None)
        return True

    def forget(self, key: str) -> None:
        """Stop reading a key that is not wanted any more."""
        if key in self._held:
            self._release(key)

    def _begin(self, key: str) -> None:
        if key not in self._held:
            self._held[key] = []
            self._unread.append(key)
            self._read_next()

    def _read_next(self) -> None:
        while self._unread and self._reads < MOST_READS:
            key = self._unread.popleft()
            keep = self._keep_of(key)
            # It may have been forgotten, or ended because too much was held.
            if key in self._held and keep is not None:
                self._reads += 1
                self._read(key, keep.messages, partial(self._was_read, key))

    def _was_read(self, key: str, found: list[Envelope] | None) -> None:
        self._reads -= 1
        self._read_next()
        if key in self._held:
            self._end(key, found)

    def _end(self, key: str, found: list[Envelope] | None) -> None:
        missing, complete = ([], False) if found is None else self._missing(key, found)
        messages: list[Envelope] = []
        for envelope in (*missing, *self._release(key)):
            last = self._seen.last(key, envelope.origin)
            if last is not None and envelope.sequence <= last:
                continue
            if last is not None and envelope.sequence != last + 1 and not envelope.begins:
                complete = False
            self._seen.note(key, envelope.origin, envelope.sequence)
            if envelope.is_notice:
                # The message with this number was not received, or the notice would be an old one.
                complete = False
            else:
                messages.append(envelope)
        # As without history: a gap is reported before the message that follows it, a recovery after what it delivers.
        if not complete:
            self._inbound.missed(None, (key,), False)
        for envelope in messages:
            self._inbound.message(envelope.origin, key, envelope.number, envelope.data)
        if complete:
            self._inbound.missed(None, (key,), True)

    def _release(self, key: str) -> list[Envelope]:
        held = self._held.pop(key)
        self._held_bytes -= sum(map(_size, held))
        return held

    def _missing(self, key: str, found: list[Envelope]) -> tuple[list[Envelope], bool]:
        """Return the stored messages of other hosts that were not received, and whether they are all."""
        received = [at for at, envelope in enumerate(found) if self._was_received(key, envelope)]
        if received:
            return [envelope for envelope in found[received[-1] + 1 :] if envelope.host != self._host], True
        known = [envelope for envelope in found if self._seen.last(key, envelope.origin) is not None]
        return known, False

    def _was_received(self, key: str, envelope: Envelope) -> bool:
        last = self._seen.last(key, envelope.origin)
        return last is not None and envelope.sequence <= last


def _size(envelope: Envelope) -> int:
    return _ENVELOPE_BYTES + len(envelope.data)
