"""Split a byte stream at a delimiter.

The bytes that are not returned yet are in two places: the pieces that were split off already, which the iterator at
work returns one by one, and the tail after them. Joined by the delimiter they are the stream again, so no position is
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reactorhost.framing.contract import FramingError

_UNBATCHED_SIZE = 4096
"""Data up to this many bytes are split in one go."""

_FIRST_BATCH = 64
"""Of more data, the pieces that are split off first. Few, because after a change of framing the rest is split again: a
client that changes the framing at every message must not make every change split all that it has sent."""


class Splitter:
    """Returns the pieces of a stream between delimiters.

    Attributes:
        tail: the bytes after the pieces that were split off.
    """

    __slots__ = ("_delimiter", "_max_size", "_max_tail", "_pieces", "_size_of", "_too_long", "_unbatched_size", "tail")

    def __init__(
        self, delimiter: bytes, max_size: int, too_long: str, *, max_tail: int, size_of: Callable[[bytes], int] = len
    ) -> None:
        """Split at `delimiter`; `too_long` is the text of the error for a piece that is too long.

        `size_of` returns the size of a piece's message, at most that of the piece and the delimiter. A tail of more
        than `max_tail` bytes is too long, whatever follows.
        """
        self._delimiter = delimiter
        self._max_size = max_size
        self._unbatched_size = min(max_size, _UNBATCHED_SIZE)
        self._max_tail = max_tail
        self._size_of = size_of
        self._too_long = too_long
        self._pieces: Iterator[bytes] = iter(())
        self.tail: bytes | bytearray = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and return an iterator over the pieces that are complete now."""
        if self.tail:
            joined = self._after_tail(data)
            if joined is None:
                return iter(()) if len(self.tail) <= self._max_tail else self._batches()
            data = joined
        if len(data) > self._unbatched_size:
            self.tail = data
            return self._batches()
        # None of these can be too long, so a list iterator, the fastest there is, returns them without a check.
        pieces = data.split(self._delimiter)
        self.tail = pieces.pop()
        self._pieces = iterator = iter(pieces)
        return iterator

    def rest(self) -> bytes:
        """Take out the bytes that were not returned yet; an iterator at work returns no more pieces."""
        # This empties the iterator that the transport has: it is the same object.
        rest = self._delimiter.join([*self._pieces, self.tail])
        self.tail = b""
        return rest

    def _after_tail(self, data: bytes) -> bytes | None:
        """Return the tail joined with `data`; if they complete no piece, keep both as the tail and return None.

        A peer may send byte by byte, so the work must grow with the bytes: the tail becomes a bytearray when it grows
        a second time, which is not copied to grow, and bytes that were searched once are not searched again.
        """
        tail = self.tail
        # The delimiter may have begun in the tail, with all of its bytes but the last.
        start = max(0, len(tail) + 1 - len(self._delimiter))
        if isinstance(tail, bytes):
            data = tail + data
            if data.find(self._delimiter, start) >= 0:
                return data
            self.tail = bytearray(data)
            return None
        tail += data
        return bytes(tail) if tail.find(self._delimiter, start) >= 0 else None

    def _batches(self) -> Iterator[bytes]:
        most = _FIRST_BATCH
        while pieces := self._split(most):
            self._pieces = iterator = iter(pieces)
            yield from iterator
            # Each batch copies the tail. Doubling the batch keeps that to a few copies of all the data.
            most *= 2
        if len(self.tail) > self._max_tail:
            raise FramingError(self._too_long)

    def _split(self, most: int) -> list[bytes]:
        """Split off the next pieces, up to the first that is too long: that one stays in the tail."""
        data = bytes(self.tail)
        pieces = data.split(self._delimiter, most)
        self.tail = pieces.pop()
        # Measuring all pieces in C first is enough for most data: `size_of` is a Python call for each piece.
        if pieces and len(max(pieces, key=len)) + len(self._delimiter) > self._max_size:
            for number, piece in enumerate(pieces):
                if self._size_of(piece) > self._max_size:
                    self.tail = self._delimiter.join([*pieces[number:], self.tail])
                    return pieces[:number]
        return pieces
