"""Splits received bytes into frames (`bus.frames`); nothing here does I/O.

The bytes may come from another version or another program: every length is checked before anything is allocated or
waited for, and whatever is wrong is a `FrameError`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reactorhost.bus.frame_layout import (
    CHANGE,
    CHUNK,
    ENDED,
    ENTRY,
    GAP,
    HEAD,
    HEARTBEAT,
    HELLO,
    KEY,
    MESSAGE,
    RESYNC,
    TO_CONNECTION,
    Kind,
)
from reactorhost.bus.frames import (
    MOST_FRAME_BYTES,
    MOST_GAP_KEYS,
    WIRE_VERSION,
    Ended,
    Frame,
    Gap,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    Resync,
    TableChange,
    TableChunk,
    ToConnection,
)
from reactorhost.bus.replica import Change, Chunk, Replicated


class FrameError(ValueError):
    """The received bytes are not frames of this version; the text is for the log."""


class FrameDecoder:
    """Splits received bytes into frames."""

    def __init__(self) -> None:
        # The begin of a frame, and how many bytes there must be before there is more to decode.
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = HEAD.size

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes complete; iterate to the end.

        Raises:
            FrameError: the bytes are not frames.
        """
        self._size += len(data)
        if self._parts or self._size < self._needed:
            # Joined only when a frame is complete: the time is linear in the bytes, in whatever parts they come.
            self._parts.append(data)
            if self._size < self._needed:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        begin, end = 0, len(data)
        while end - begin >= HEAD.size:
            length, kind = HEAD.unpack_from(data, begin)
            # Before anything waits for that many bytes.
            if not 1 <= length <= MOST_FRAME_BYTES:
                raise FrameError(f"a frame has {length} bytes")
            after = begin + 4 + length
            if after > end:
                break
            yield _decoded(kind, data, begin + HEAD.size, after)
            begin = after
        self._size = end - begin
        self._needed = HEAD.size if self._size < HEAD.size else 4 + length
        if self._size:
            self._parts.append(data[begin:])


def _decoded(kind: int, data: bytes, at: int, end: int) -> Frame:
    decode = _DECODERS.get(kind)
    if decode is None:
        raise FrameError(f"a frame has the unknown kind {kind}")
    try:
        return decode(data, at, end)
    except FrameError:
        raise
    # A text that is not UTF-8, an unknown table.
    except ValueError:
        raise FrameError(f"a frame of the kind {Kind(kind).name} is malformed") from None


def _fields(layout: struct.Struct, data: bytes, at: int, end: int) -> tuple[int, tuple[Any, ...]]:
    """Return the position behind fixed fields, and the fields; they must not reach into the next frame."""
    after = at + layout.size
    if after > end:
        raise FrameError("a frame is too short")
    return after, layout.unpack_from(data, at)


def _part(data: bytes, at: int, size: int, end: int) -> tuple[int, bytes]:
    after = at + size
    if after > end:
        raise FrameError("a frame is too short")
    return after, data[at:after]


def _nothing_left(at: int, end: int) -> None:
    if at != end:
        raise FrameError("a frame is too long")


def _decode_hello(data: bytes, at: int, end: int) -> Hello:
    version = int.from_bytes(data[at : min(at + 2, end)])
    if version != WIRE_VERSION:
        raise FrameError(f"it speaks version {version} of the bus, this worker version {WIRE_VERSION}")
    at, fields = _fields(HELLO, data, at, end)
    _nothing_left(at, end)
    return Hello(*fields[1:])


def _decode_change(data: bytes, at: int, end: int) -> TableChange:
    at, (table, version, present, size) = _fields(CHANGE, data, at, end)
    at, key = _part(data, at, size, end)
    if not present:
        _nothing_left(at, end)
    return TableChange(Replicated(table), Change(version, key.decode(), data[at:end] if present else None))


def _decode_chunk(data: bytes, at: int, end: int) -> TableChunk:
    at, (table, version, position, last) = _fields(CHUNK, data, at, end)
    entries: list[tuple[str, bytes]] = []
    while at < end:
        at, (key_size, value_size) = _fields(ENTRY, data, at, end)
        at, key = _part(data, at, key_size, end)
        at, value = _part(data, at, value_size, end)
        entries.append((key.decode(), value))
    return TableChunk(Replicated(table), Chunk(version, position, last, entries))


def _decode_resync(data: bytes, at: int, end: int) -> Resync:
    at, (table,) = _fields(RESYNC, data, at, end)
    _nothing_left(at, end)
    return Resync(Replicated(table))


def _decode_heartbeat(data: bytes, at: int, end: int) -> Heartbeat:
    at, versions = _fields(HEARTBEAT, data, at, end)
    _nothing_left(at, end)
    return Heartbeat(versions)


def _decode_message(data: bytes, at: int, end: int) -> Message:
    # Without `_fields` and `_part`: this one is for every message.
    key_at = at + MESSAGE.size
    if key_at > end:
        raise FrameError("a frame is too short")
    number, size = MESSAGE.unpack_from(data, at)
    data_at = key_at + size
    if data_at > end:
        raise FrameError("a frame is too short")
    return Message(data[key_at:data_at].decode(), number, data[data_at:end])


def _decode_to_connection(data: bytes, at: int, end: int) -> ToConnection:
    at, (connection, closes) = _fields(TO_CONNECTION, data, at, end)
    if closes:
        _nothing_left(at, end)
    return ToConnection(connection, None if closes else data[at:end])


def _decode_gap(data: bytes, at: int, end: int) -> Gap:
    at, (unknown, recovered) = _fields(GAP, data, at, end)
    keys: list[str] = []
    while at < end:
        at, (size,) = _fields(KEY, data, at, end)
        at, key = _part(data, at, size, end)
        keys.append(key.decode())
    if len(keys) > MOST_GAP_KEYS or (unknown and keys):
        raise FrameError("a gap has too many keys")
    return Gap(None if unknown else keys, recovered)


def _decode_goodbye(data: bytes, at: int, end: int) -> Goodbye:
    _nothing_left(at, end)
    return Goodbye()


def _decode_ended(data: bytes, at: int, end: int) -> Ended:
    at, fields = _fields(ENDED, data, at, end)
    _nothing_left(at, end)
    return Ended(*fields)


_DECODERS: Mapping[int, Callable[[bytes, int, int], Frame]] = {
    Kind.HELLO: _decode_hello,
    Kind.CHANGE: _decode_change,
    Kind.CHUNK: _decode_chunk,
    Kind.RESYNC: _decode_resync,
    Kind.HEARTBEAT: _decode_heartbeat,
    Kind.MESSAGE: _decode_message,
    Kind.TO_CONNECTION: _decode_to_connection,
    Kind.GAP: _decode_gap,
    Kind.GOODBYE: _decode_goodbye,
    Kind.ENDED: _decode_ended,
}
