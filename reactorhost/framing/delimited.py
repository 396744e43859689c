"""Messages that end with a delimiter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from reactorhost.framing.contract import DEFAULT_MAX_SIZE
from reactorhost.framing.parameters import check_message_size, message_bytes, size_in_bytes
from reactorhost.framing.splitter import Splitter


class Delimited:
    """Messages that end with a delimiter of one or more bytes, which is no part of them.

    Raises:
        TypeError, ValueError: a parameter is wrong.
    """

    __slots__ = ("_delimiter", "_max_size", "_splitter")

    def __init__(self, delimiter: bytes, *, max_size: int = DEFAULT_MAX_SIZE) -> None:
        if not isinstance(delimiter, bytes):
            raise TypeError(f"delimiter is {delimiter!r}, which is not bytes")
        if not delimiter:
            raise ValueError("delimiter is empty")
        self._delimiter = delimiter
        self._max_size = size_in_bytes("max_size", max_size)
        too_long = f"a message of more than {max_size} bytes"
        self._splitter = Splitter(delimiter, max_size, too_long, most_tail=max_size + len(delimiter) - 1)

    def __repr__(self) -> str:
        return f"Delimited({self._delimiter!r}, max_size={self._max_size})"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they came and give the messages that are whole now."""
        return self._splitter.feed(data)

    def rest(self) -> bytes:
        """Take out what was not given yet."""
        return self._splitter.rest()

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        """Return the message with the delimiter behind it.

        Raises:
            ValueError: the delimiter would be seen earlier, or the message is too large.
        """
        message = message_bytes(message)
        check_message_size(len(message), self._max_size)
        framed = message + self._delimiter
        # Not the same as a look into the message: of b"a;" and b";;" the first two semicolons would be taken.
        if framed.find(self._delimiter) != len(message):
            raise ValueError(f"a message has the delimiter {self._delimiter!r} inside")
        return framed

    def fresh(self) -> Self:
        """Return one with the same parameters that holds no bytes."""
        return type(self)(self._delimiter, max_size=self._max_size)
