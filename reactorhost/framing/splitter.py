"""A byte stream, cut at a delimiter.

What was not given yet is in two places: the pieces that are cut off, of which the iterator at work takes one after the
other, and the tail behind them. Joined by the delimiter they are the stream again, so nothing else is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reactorhost.framing.contract import FramingError

_PLAIN_SIZE = 4096
"""Bytes that are cut all at once."""

_FIRST_BUNCH = 64
"""Pieces that are cut first of more bytes. Few, because who changes the framing has what is left cut anew each time."""


class Splitter:
    """The pieces of a stream between delimiters.

    Attributes:
        tail: what lies behind the pieces that are cut off.
    """

    __slots__ = ("_delimiter", "_max_size", "_most_tail", "_pieces", "_plain_size", "_size_of", "_too_long", "tail")

    def __init__(
        self, delimiter: bytes, max_size: int, too_long: str, *, most_tail: int, size_of: Callable[[bytes], int] = len
    ) -> None:
        """Cut at `delimiter`; `too_long` is the sentence of the error.

        `size_of` says how large the message of a piece is, at most the piece and its delimiter. A tail of more than
        `most_tail` bytes is too long, whatever comes.
        """
        self._delimiter = delimiter
        self._max_size = max_size
        self._plain_size = min(max_size, _PLAIN_SIZE)
        self._most_tail = most_tail
        self._size_of = size_of
        self._too_long = too_long
        self._pieces: Iterator[bytes] = iter(())
        self.tail: bytes | bytearray = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they came and give the pieces that are whole now."""
        if self.tail:
            whole = self._behind_tail(data)
            if whole is None:
                return iter(()) if len(self.tail) <= self._most_tail else self._bunches()
            data = whole
        if len(data) > self._plain_size:
            self.tail = data
            return self._bunches()
        # None of these can be too long, and nothing gives them out faster than a list's own iterator.
        pieces = data.split(self._delimiter)
        self.tail = pieces.pop()
        self._pieces = given = iter(pieces)
        return given

    def rest(self) -> bytes:
        """Take out what was not given yet; the iterator at work gives nothing more."""
        rest = self._delimiter.join([*self._pieces, self.tail])
        self.tail = b""
        return rest

    def _behind_tail(self, data: bytes) -> bytes | None:
        """Return the tail with the bytes behind it, or keep them there and return None while no piece is whole.

        The second time that it grows it becomes a bytearray, which is not copied for that, and what was looked at once
        is not looked at again: so the work for a peer that sends byte by byte grows with the bytes.
        """
        tail = self.tail
        start = max(0, len(tail) + 1 - len(self._delimiter))
        if isinstance(tail, bytes):
            data = tail + data
            if data.find(self._delimiter, start) >= 0:
                return data
            self.tail = bytearray(data)
            return None
        tail += data
        return bytes(tail) if tail.find(self._delimiter, start) >= 0 else None

    def _bunches(self) -> Iterator[bytes]:
        most = _FIRST_BUNCH
        while pieces := self._cut(most):
            self._pieces = given = iter(pieces)
            yield from given
            # Each bunch copies what is behind it: twice as many each time makes it a few copies of all, and no more.
            most *= 2
        if len(self.tail) > self._most_tail:
            raise FramingError(self._too_long)

    def _cut(self, most: int) -> list[bytes]:
        """Cut off the next pieces, up to the first that is too long: that one stays in the tail."""
        data = bytes(self.tail)
        pieces = data.split(self._delimiter, most)
        self.tail = pieces.pop()
        # Most are short enough by their length alone, which is told in C.
        if pieces and len(max(pieces, key=len)) + len(self._delimiter) > self._max_size:
            for number, piece in enumerate(pieces):
                if self._size_of(piece) > self._max_size:
                    self.tail = self._delimiter.join([*pieces[number:], self.tail])
                    return pieces[:number]
        return pieces
