"""Messages that all have one size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from reactorhost.framing.parameters import message_bytes, size_in_bytes
from reactorhost.framing.pending import PendingBytes


class Fixed:
    """Messages of exactly `size` bytes.

    Raises:
        TypeError, ValueError: the size is invalid.
    """

    __slots__ = ("_pending", "_size")

    def __init__(self, size: int) -> None:
        self._size = size_in_bytes("size", size)
        self._pending = PendingBytes(size)

    def __repr__(self) -> str:
        return f"Fixed({self._size})"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and return an iterator over the messages that are complete now."""
        pending = self._pending.append(data)
        return iter(()) if pending is None else self._messages(pending)

    def rest(self) -> bytes:
        """Take out the bytes that were not returned yet; an iterator at work returns no more messages."""
        return self._pending.take()

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        """Return the message unchanged.

        Raises:
            ValueError: it has another size.
        """
        message = message_bytes(message)
        if len(message) != self._size:
            raise ValueError(f"a message of {len(message)} bytes where each must have {self._size}")
        return message

    def fresh(self) -> Self:
        """Return a framing with the same size and no pending bytes."""
        return type(self)(self._size)

    def _messages(self, data: bytes) -> Iterator[bytes]:
        pending, size = self._pending, self._size
        last_start = len(data) - size
        start = pending.start
        while pending.data is data:
            if start > last_start:
                pending.data = data[start:]
                pending.start = 0
                return
            pending.start = end = start + size
            yield data[start:end]
            start = end
