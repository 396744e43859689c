"""Messages that tell their length before they come."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Self

from reactorhost.framing.contract import DEFAULT_MAX_SIZE, FramingError
from reactorhost.framing.parameters import check_message_size, message_bytes, size_in_bytes, true_or_false

_ONE_INTEGER = re.compile(r"[@=<>!]?[bBhHiIlLqQnN]")


class LengthPrefixed:
    """A length, and so many bytes behind it; the length is no part of the message.

    `format` is the length as a format of the `struct` module: one integer, as ">H" or "<I". `offset` bytes of header
    stand before the length and are the beginning of the message. With `inclusive` the length counts the header and
    itself too, otherwise only what is behind it.

    Raises:
        TypeError, ValueError: a parameter is wrong.
    """

    __slots__ = ("_counted", "_data", "_given", "_inclusive", "_max_size", "_most", "_needed", "_offset", "_prefix")

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
        self._counted = offset + self._prefix.size if inclusive else 0
        self._most = max_size - offset + self._counted
        # What was not given yet are the data from `given` on.
        self._data: bytes | bytearray = b""
        self._given = 0
        self._needed = 0

    def __repr__(self) -> str:
        return (
            f"LengthPrefixed({self._prefix.format!r}, offset={self._offset}, inclusive={self._inclusive},"
            f" max_size={self._max_size})"
        )

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they came and give the messages that are whole now."""
        if self._data:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)
            self._data += data
            if len(self._data) < self._needed:
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
        """Return the message with its length, behind the `offset` bytes of header that it begins with.

        Raises:
            ValueError: it is shorter than the header, too large, or longer than the length can say.
        """
        if type(message) is not bytes:
            message = message_bytes(message)
        offset = self._offset
        if len(message) < offset:
            raise ValueError(f"a message of {len(message)} bytes is shorter than its header of {offset}")
        check_message_size(len(message), self._max_size)
        try:
            prefix = self._prefix.pack(len(message) - offset + self._counted)
        except struct.error:
            raise ValueError(
                f"a message of {len(message)} bytes has a length that the format {self._prefix.format!r} cannot say"
            ) from None
        return b"".join((message[:offset], prefix, message[offset:])) if offset else prefix + message

    def fresh(self) -> Self:
        """Return one with the same parameters that holds no bytes."""
        return type(self)(self._prefix.format, offset=self._offset, inclusive=self._inclusive, max_size=self._max_size)

    def _messages(self, data: bytes) -> Iterator[bytes]:
        offset, least, most = self._offset, self._counted, self._most
        before = offset + self._prefix.size
        unpack = self._prefix.unpack_from
        size = len(data)
        at = self._given
        # Other data than these mean that somebody took the rest: nothing is left to give.
        while self._data is data:
            start = end = at + before
            if start <= size:
                length = unpack(data, at + offset)[0]
                if length < least or length > most:
                    raise FramingError(self._refusal(length))
                end += length - least
            if end > size:
                self._data = data[at:]
                self._given = 0
                self._needed = end - at
                return
            self._given = end
            yield data[at : at + offset] + data[start:end] if offset else data[start:end]
            at = end

    def _refusal(self, length: int) -> str:
        if length < self._counted:
            return f"a length of {length} where at least {self._counted} is needed"
        return f"a length of {length} where at most {self._most} is allowed"


def _one_integer(text: str) -> struct.Struct:
    if not isinstance(text, str):
        raise TypeError(f"format is {text!r}, which is not a text")
    if not _ONE_INTEGER.fullmatch(text):
        raise ValueError(f"format is {text!r}, which is not one integer of the struct module, as '>H' or '<I'")
    try:
        return struct.Struct(text)
    except struct.error as error:
        raise ValueError(f"format is {text!r}: {error}") from None
