"""Messages that end with a delimiter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from reactorhost.framing.contract import DEFAULT_MAX_SIZE
from reactorhost.framing.parameters import check_message_size, message_bytes, size_in_bytes
from reactorhost.framing.splitter import Splitter


class Delimited:
    """Messages that end with a delimiter of one or more bytes; the delimiter is not part of the message.

    Raises:
        TypeError, ValueError: a parameter is invalid.
    """

    __slots__ = ("_delimiter", "_max_size", "_splitter")

    def __init__(self, delimiter: bytes, *, max_size: int = DEFAULT_MAX_SIZE) -> None:
        if not isinstance(delimiter, bytes):
            raise TypeError(f"delimiter is {delimiter!r}, not bytes")
        if not delimiter:
            raise ValueError("delimiter is empty")
        self._delimiter = delimiter
        self._max_size = size_in_bytes("max_size", max_size)
        too_long = f"a message of more than {max_size} bytes"
        # The tail of a message that is not too long yet may end with all of the delimiter but its last byte.
        self._splitter = Splitter(delimiter, max_size, too_long, max_tail=max_size + len(delimiter) - 1)

    def __repr__(self) -> str:
        return f"Delimited({self._delimiter!r}, max_size={self._max_size})"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and return an iterator over the messages that are complete now."""
        return self._splitter.feed(data)

    def rest(self) -> bytes:
        """Take out the bytes that were not returned yet; an iterator at work returns no more messages."""
        return self._splitter.rest()

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        """Return the message with the delimiter appended.

        Raises:
            ValueError: the peer would find the delimiter earlier, or the message is too large.
        """
        message = message_bytes(message)
        check_message_size(len(message), self._max_size)
        framed = message + self._delimiter
        # Searching the message alone is not enough: with the delimiter b";;" the message b"a;" is sent as b"a;;;",
        # and the peer would split after the first two semicolons.
        if framed.find(self._delimiter) != len(message):
            raise ValueError(f"a message has the delimiter {self._delimiter!r} inside")
        return framed

    def fresh(self) -> Self:
        """Return a framing with the same parameters and no pending bytes."""
        return type(self)(self._delimiter, max_size=self._max_size)
