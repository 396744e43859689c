"""Messages that all have one size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from reactorhost.framing.parameters import message_bytes, size_in_bytes


class Fixed:
    """Messages of `size` bytes each, which is their maximum too.

    Raises:
        TypeError, ValueError: the size is wrong.
    """

    __slots__ = ("_data", "_given", "_size")

    def __init__(self, size: int) -> None:
        self._size = size_in_bytes("size", size)
        # What was not given yet are the data from `given` on.
        self._data: bytes | bytearray = b""
        self._given = 0

    def __repr__(self) -> str:
        return f"Fixed({self._size})"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they came and give the messages that are whole now."""
        if self._data:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)
            self._data += data
            if len(self._data) < self._size:
                return iter(())
            data = bytes(self._data)
        self._data = data
        return self._messages(data)

    def rest(self) -> bytes:
        """Take out what was not given yet; the iterator at work gives nothing more."""
        rest = bytes(self._data[self._given :])
        self._data = b""
        self._given = 0
        return rest

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        """Return the message as it is.

        Raises:
            ValueError: it has another size.
        """
        message = message_bytes(message)
        if len(message) != self._size:
            raise ValueError(f"a message of {len(message)} bytes where each has {self._size}")
        return message

    def fresh(self) -> Self:
        """Return one with the same size that holds no bytes."""
        return type(self)(self._size)

    def _messages(self, data: bytes) -> Iterator[bytes]:
        size = self._size
        whole = len(data) - size
        at = self._given
        # Other data than these mean that somebody took the rest: nothing is left to give.
        while self._data is data:
            if at > whole:
                self._data = data[at:]
                self._given = 0
                return
            self._given = end = at + size
            yield data[at:end]
            at = end
