"""Messages whose size is known before their end: all of one size, or with their length in front."""

from __future__ import annotations

import re
import struct
from collections.abc import Hashable, Iterator
from typing import Self

from reactorhost.framing.contract import DEFAULT_MAX_SIZE, FramingError
from reactorhost.framing.parameters import check_message_size, message_bytes, size_in_bytes, true_or_false

_ONE_INTEGER = re.compile(r"[@=<>!]?[bBhHiIlLqQnN]")


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

    @property
    def frame_key(self) -> Hashable:
        """What `frame` depends on; None for a subclass, which may have another `frame`."""
        return (Fixed, self._size) if type(self) is Fixed else None

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun that is not complete; once the messages of the last `feed` are taken."""
        return bool(self._pending.data)

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
            # Before each yield, because `rest` may be called while this generator is suspended.
            pending.start = end = start + size
            yield data[start:end]
            start = end


class LengthPrefixed:
    """A length field followed by that many bytes; the field is not part of the message.

    `format` is the length field as a format of the `struct` module: one integer, for example ">H" or "<I". `offset`
    bytes of header precede the field and are the beginning of the message. With `inclusive` the length counts the
    header and the field too, otherwise only the bytes that follow.

    Raises:
        TypeError, ValueError: a parameter is invalid.
    """

    __slots__ = ("_inclusive", "_max_length", "_max_size", "_min_length", "_offset", "_pending", "_prefix")

    def __init__(
        self,
        format: str = ">I",  # noqa: A002  what the struct module and the configuration file call it
        *,
        offset: int = 0,
        inclusive: bool = False,
        max_size: int = DEFAULT_MAX_SIZE,
    ) -> None:
        self._prefix = _one_integer(format)
        self._offset = size_in_bytes("offset", offset, least=0)
        self._inclusive = true_or_false("inclusive", inclusive)
        self._max_size = size_in_bytes("max_size", max_size, least=max(1, offset))
        # The values of the length field that are allowed; the least one belongs to an empty message.
        self._min_length = offset + self._prefix.size if inclusive else 0
        self._max_length = max_size - offset + self._min_length
        self._pending = PendingBytes(0)

    def __repr__(self) -> str:
        return (
            f"LengthPrefixed({self._prefix.format!r}, offset={self._offset}, inclusive={self._inclusive},"
            f" max_size={self._max_size})"
        )

    @property
    def frame_key(self) -> Hashable:
        """What `frame` depends on; None for a subclass, which may have another `frame`."""
        if type(self) is not LengthPrefixed:
            return None
        return LengthPrefixed, self._prefix.format, self._offset, self._inclusive, self._max_size

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun that is not complete; once the messages of the last `feed` are taken."""
        return bool(self._pending.data)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and return an iterator over the messages that are complete now."""
        pending = self._pending.append(data)
        return iter(()) if pending is None else self._messages(pending)

    def rest(self) -> bytes:
        """Take out the bytes that were not returned yet; an iterator at work returns no more messages."""
        return self._pending.take()

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        """Return the message with the length field inserted after its `offset` bytes of header.

        Raises:
            ValueError: it is shorter than the header, too large, or does not fit the length field.
        """
        # The common case costs no call.
        if type(message) is not bytes:
            message = message_bytes(message)
        offset = self._offset
        if len(message) < offset:
            raise ValueError(f"a message of {len(message)} bytes is shorter than its header of {offset}")
        check_message_size(len(message), self._max_size)
        try:
            prefix = self._prefix.pack(len(message) - offset + self._min_length)
        except struct.error:
            length = f"a length of the format {self._prefix.format!r}"
            raise ValueError(f"a message of {len(message)} bytes is too long for {length}") from None
        return b"".join((message[:offset], prefix, message[offset:])) if offset else prefix + message

    def fresh(self) -> Self:
        """Return a framing with the same parameters and no pending bytes."""
        return type(self)(self._prefix.format, offset=self._offset, inclusive=self._inclusive, max_size=self._max_size)

    def _messages(self, data: bytes) -> Iterator[bytes]:
        pending, offset = self._pending, self._offset
        least, most = self._min_length, self._max_length
        header_size = offset + self._prefix.size
        # Attributes in local names: the loop below runs once for each message.
        unpack = self._prefix.unpack_from
        size = len(data)
        start = pending.start
        while pending.data is data:
            body = end = start + header_size
            # Otherwise the header is incomplete, and its end is what is needed.
            if body <= size:
                length = unpack(data, start + offset)[0]
                if length < least or length > most:
                    limit = f"at least {least} is needed" if length < least else f"at most {most} is allowed"
                    raise FramingError(f"a length of {length} where {limit}")
                end += length - least
            if end > size:
                pending.data = data[start:]
                pending.start = 0
                # The size of a whole message, so that `append` need not look at the bytes again before it is reached.
                pending.needed = end - start
                return
            pending.start = end
            yield data[start : start + offset] + data[body:end] if offset else data[body:end]
            start = end


def _one_integer(text: str) -> struct.Struct:
    if not isinstance(text, str):
        raise TypeError(f"format is {text!r}, not a string")
    if not _ONE_INTEGER.fullmatch(text):
        raise ValueError(f"format is {text!r}, not one integer of the struct module such as '>H' or '<I'")
    try:
        return struct.Struct(text)
    except struct.error as error:
        raise ValueError(f"format is {text!r}: {error}") from None


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
