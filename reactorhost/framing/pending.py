"""The bytes of a stream that are not returned as messages yet, for framings that know how long a message is."""

from __future__ import annotations


class PendingBytes:
    """Received bytes, from which a generator at work cuts one message after the other.

    Attributes:
        data: the bytes. A generator that sees another object here must stop: the bytes it had were taken out.
        start: where the first message that is not returned yet begins in `data`.
        needed: the bytes from `start` on that complete the next message, as far as its size is known.
    """

    __slots__ = ("data", "needed", "start")

    def __init__(self, needed: int) -> None:
        self.data: bytes | bytearray = b""
        self.start = 0
        self.needed = needed

    def append(self, data: bytes) -> bytes | None:
        """Append received bytes and return all pending ones, or None while the next message is not complete.

        A peer may send byte by byte, so the work must grow with the bytes: the data become a bytearray, which grows
        without being copied, and they are copied out only when a message is complete.
        """
        pending = self.data
        if pending:
            if isinstance(pending, bytes):
                pending = self.data = bytearray(pending)
            pending += data
            if len(pending) < self.needed:
                return None
            data = bytes(pending)
        self.data = data
        return data

    def take(self) -> bytes:
        """Return the pending bytes and keep none; this stops a generator that is at work."""
        taken = bytes(self.data[self.start :])
        self.data = b""
        self.start = 0
        return taken
