"""Messages that end with a delimiter: any bytes, or the end of a line."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterator
from itertools import repeat
from typing import Self

from reactorhost.framing.contract import DEFAULT_MAX_SIZE
from reactorhost.framing.parameters import check_message_size, message_bytes, size_in_bytes, true_or_false
from reactorhost.framing.splitter import Splitter

# An endless `repeat` has no state, so all connections can share one.
_NEWLINES = repeat(b"\n")
_RETURNS = repeat(b"\r")
_RETURN = ord("\r")
"""A number and not bytes: `in` finds it by memchr, in a quarter of the time."""


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

    @property
    def frame_key(self) -> Hashable:
        """What `frame` depends on; None for a subclass, which may have another `frame`."""
        return (Delimited, self._delimiter, self._max_size) if type(self) is Delimited else None

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun that is not complete; once the messages of the last `feed` are taken."""
        return bool(self._splitter.tail)

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


class Lines:
    r"""Lines that end with a newline or with a carriage return and a newline.

    The line end is removed; with `keep_ends` it stays part of the message, as received. `end` is what `frame` appends
    to a line: b"\n" or b"\r\n".

    Raises:
        TypeError, ValueError: a parameter is invalid.
    """

    __slots__ = ("_end", "_keep_ends", "_max_size", "_splitter")

    def __init__(self, *, max_size: int = DEFAULT_MAX_SIZE, keep_ends: bool = False, end: bytes = b"\n") -> None:
        if end not in (b"\n", b"\r\n"):
            raise ValueError(f"end is {end!r} and must be b'\\n' or b'\\r\\n'")
        self._max_size = size_in_bytes("max_size", max_size)
        self._keep_ends = true_or_false("keep_ends", keep_ends)
        self._end = end
        self._splitter = Splitter(
            b"\n",
            max_size,
            f"a line of more than {max_size} bytes",
            # The one byte more may be the carriage return of the line end.
            max_tail=max_size if keep_ends else max_size + 1,
            size_of=_size_with_newline if keep_ends else _size_without_return,
        )

    def __repr__(self) -> str:
        return f"Lines(max_size={self._max_size}, keep_ends={self._keep_ends}, end={self._end!r})"

    @property
    def frame_key(self) -> Hashable:
        """What `frame` depends on; None for a subclass, which may have another `frame`."""
        return (Lines, self._max_size, self._keep_ends, self._end) if type(self) is Lines else None

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun that is not complete; once the messages of the last `feed` are taken."""
        return bool(self._splitter.tail)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and return an iterator over the lines that are complete now."""
        splitter = self._splitter
        if self._keep_ends:
            # Maps of C functions: no Python frame for each line.
            return map(operator.add, splitter.feed(data), _NEWLINES)
        # The tail may end with the carriage return whose newline is the first byte of `data`.
        if splitter.tail or _RETURN in data:
            return map(bytes.removesuffix, splitter.feed(data), _RETURNS)
        return splitter.feed(data)

    def rest(self) -> bytes:
        """Take out the bytes that were not returned yet; an iterator at work returns no more messages."""
        return self._splitter.rest()

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        """Return the line with its end; with `keep_ends` a line that has an end is returned unchanged.

        Raises:
            ValueError: it contains a newline, ends with a carriage return that the peer would remove, or is too large.
        """
        message = message_bytes(message)
        if self._keep_ends and message.endswith(b"\n"):
            line, end = message[:-1], b"\n"
        else:
            line, end = message, self._end
            if end == b"\n" and line.endswith(b"\r"):
                raise ValueError("a line ends with a carriage return, which would become part of the line end")
        if b"\n" in line:
            raise ValueError("a line has a newline inside")
        check_message_size(len(line) + len(end) if self._keep_ends else len(line), self._max_size)
        return line + end

    def fresh(self) -> Self:
        """Return a framing with the same parameters and no pending bytes."""
        return type(self)(max_size=self._max_size, keep_ends=self._keep_ends, end=self._end)


def _size_with_newline(piece: bytes) -> int:
    return len(piece) + 1


def _size_without_return(piece: bytes) -> int:
    return len(piece) - piece.endswith(b"\r")
