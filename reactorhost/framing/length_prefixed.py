"""Messages with their length in front."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Self

from reactorhost.framing.contract import DEFAULT_MAX_SIZE, FramingError
from reactorhost.framing.parameters import check_message_size, message_bytes, size_in_bytes, true_or_false
from reactorhost.framing.pending import PendingBytes

_ONE_INTEGER = re.compile(r"[@=<>!]?[bBhHiIlLqQnN]")


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
        if type(message) is not bytes:
            message = message_bytes(message)
        offset = self._offset
        if len(message) < offset:
            raise ValueError(f"a message of {len(message)} bytes is shorter than its header of {offset}")
        check_message_size(len(message), self._max_size)
        try:
            prefix = self._prefix.pack(len(message) - offset + self._min_length)
        except struct.error:
            raise ValueError(
                f"a message of {len(message)} bytes is too long for a length of the format {self._prefix.format!r}"
            ) from None
        return b"".join((message[:offset], prefix, message[offset:])) if offset else prefix + message

    def fresh(self) -> Self:
        """Return a framing with the same parameters and no pending bytes."""
        return type(self)(self._prefix.format, offset=self._offset, inclusive=self._inclusive, max_size=self._max_size)

    def _messages(self, data: bytes) -> Iterator[bytes]:
        pending, offset = self._pending, self._offset
        least, most = self._min_length, self._max_length
        header_size = offset + self._prefix.size
        unpack = self._prefix.unpack_from
        size = len(data)
        start = pending.start
        while pending.data is data:
            body = end = start + header_size
            if body <= size:
                length = unpack(data, start + offset)[0]
                if length < least or length > most:
                    raise FramingError(self._violation(length))
                end += length - least
            if end > size:
                pending.data = data[start:]
                pending.start = 0
                pending.needed = end - start
                return
            pending.start = end
            yield data[start : start + offset] + data[body:end] if offset else data[body:end]
            start = end

    def _violation(self, length: int) -> str:
        if length < self._min_length:
            return f"a length of {length} where at least {self._min_length} is needed"
        return f"a length of {length} where at most {self._max_length} is allowed"


def _one_integer(text: str) -> struct.Struct:
    if not isinstance(text, str):
        raise TypeError(f"format is {text!r}, not a string")
    if not _ONE_INTEGER.fullmatch(text):
        raise ValueError(f"format is {text!r}, not one integer of the struct module such as '>H' or '<I'")
    try:
        return struct.Struct(text)
    except struct.error as error:
        raise ValueError(f"format is {text!r}: {error}") from None
