"""Read the server name (SNI) of a TLS client without decrypting: RFC 8446, sections 4.1.2 and 5.1, and RFC 6066, 3.

The ClientHello is one handshake message, which may be split over several records, and each record over several reads.
Everything is kept as it came, to be passed on. Whatever does not fit this form is not TLS: it has no name, and the
server that gets it answers as it likes.
"""

from __future__ import annotations

import enum

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1
_RECORD_HEADER = 5
_MESSAGE_HEADER = 4
# RFC 8446, 5.1; a record that is not encrypted.
_LARGEST_RECORD = 1 << 14
# With the key shares and tickets of today a hello has up to 4 KiB.
_LARGEST_HELLO = 1 << 16
_SERVER_NAME = 0
_HOST_NAME = 0

UNRECOGNIZED_NAME = bytes([21, 3, 3, 0, 2, 2, 112])
"""The alert of a server that has no such name: fatal, `unrecognized_name`."""


class Hello(enum.Enum):
    """What is known about the first bytes of a client, other than a name."""

    INCOMPLETE = enum.auto()
    NAMELESS = enum.auto()
    """A ClientHello without a server name."""
    NOT_TLS = enum.auto()


class _NotTlsError(Exception):
    """The bytes are not those of a ClientHello."""


class HelloReader:
    """Collects the first bytes of a client.

    Attributes:
        received: all of them.
    """

    __slots__ = ("_at", "_message", "received")

    def __init__(self) -> None:
        self.received = bytearray()
        self._message = bytearray()
        # The beginning of the first record that is not whole yet.
        self._at = 0

    def feed(self, data: bytes) -> str | Hello:
        """Add bytes; return the name in lower case, or what else is known so far."""
        self.received += data
        try:
            return self._read()
        except _NotTlsError:
            return Hello.NOT_TLS

    def _read(self) -> str | Hello:
        received = self.received
        while len(received) - self._at >= _RECORD_HEADER:
            kind, major, _minor, high, low = received[self._at : self._at + _RECORD_HEADER]
            length = high << 8 | low
            if kind != _HANDSHAKE_RECORD or major != 3 or not 0 < length <= _LARGEST_RECORD:
                raise _NotTlsError
            end = self._at + _RECORD_HEADER + length
            if len(received) < end:
                break
            self._message += received[self._at + _RECORD_HEADER : end]
            self._at = end
            size = self._message_size()
            if size is not None and len(self._message) >= size:
                return _name(bytes(self._message[_MESSAGE_HEADER:size]))
        else:
            # Before a header is whole, its first byte decides already.
            if received[self._at : self._at + 1] not in (b"", bytes([_HANDSHAKE_RECORD])):
                raise _NotTlsError
        return Hello.INCOMPLETE

    def _message_size(self) -> int | None:
        """Return the length of the whole message, or None if its header is not complete."""
        if self._message[0] != _CLIENT_HELLO:
            raise _NotTlsError
        if len(self._message) < _MESSAGE_HEADER:
            return None
        size = _MESSAGE_HEADER + int.from_bytes(self._message[1:_MESSAGE_HEADER])
        if size > _LARGEST_HELLO:
            raise _NotTlsError
        return size


def _name(hello: bytes) -> str | Hello:
    """Return the server name of a complete ClientHello without its header."""
    fields = _Fields(hello)
    # The version and the random bytes, then the session id, the cipher suites and the compression methods.
    fields.read(2 + 32)
    fields.block(1)
    fields.block(2)
    fields.block(1)
    if fields.is_at_end:
        # Before TLS 1.3 there may be no extensions at all.
        return Hello.NAMELESS
    extensions = _Fields(fields.block(2))
    while not extensions.is_at_end:
        # Unknown types, those of GREASE (RFC 8701) too, are skipped by their length.
        kind, extension = extensions.number(2), extensions.block(2)
        if kind == _SERVER_NAME:
            return _host_name(extension)
    return Hello.NAMELESS


def _host_name(extension: bytes) -> str | Hello:
    names = _Fields(_Fields(extension).block(2))
    while not names.is_at_end:
        kind, name = names.number(1), names.block(2)
        if kind == _HOST_NAME:
            # RFC 6066: ASCII, without a dot at the end. It goes into logs and a PROXY header.
            if not name or len(name) > 255 or not name.isascii() or not name.decode("ascii").isprintable():
                raise _NotTlsError
            return name.decode("ascii").lower().removesuffix(".")
    return Hello.NAMELESS


class _Fields:
    """Reads fields of a length one after another."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def read(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _NotTlsError
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, count: int) -> int:
        return int.from_bytes(self.read(count))

    def block(self, length_bytes: int) -> bytes:
        return self.read(self.number(length_bytes))
