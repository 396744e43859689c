"""The frames in which workers talk to each other: encoded and decoded, without I/O.

A frame is four bytes with the length of the rest, a byte with the kind, and the fields of this kind. All numbers are
big-endian, texts are UTF-8 behind their length. The last field of a kind takes the rest of the frame.

HELLO comes first, and its first field is the version of all this. Workers of one host may have loaded different
versions of this file: a worker imports it when it first uses the bus, and an upgrade may have replaced it by then.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reactorhost.bus.refs import ID_BYTES
from reactorhost.bus.replica import Change, Chunk, Replicated

WIRE_VERSION = 1

MOST_FRAME_BYTES = 80 << 20
"""Longer frames are refused: no setting allows a message, and no table an entry, that needs more."""
MOST_GAP_KEYS = 1000
"""Keys that a GAP may name."""


class FrameError(ValueError):
    """The received bytes are not frames of this version; the text is for the log."""


class Hello(NamedTuple):
    """The worker at the other end: ids of host and worker (`bus.refs`), number of its slot, and process id."""

    host: bytes
    worker: bytes
    slot: int
    pid: int


class TableChange(NamedTuple):
    """A change of a table of the sender."""

    table: Replicated
    change: Change


class TableChunk(NamedTuple):
    """A part of a snapshot of a table of the sender."""

    table: Replicated
    chunk: Chunk


class Resync(NamedTuple):
    """Request a snapshot of a table of the receiver."""

    table: Replicated


class Heartbeat(NamedTuple):
    """The sender's loop turns; the versions of its tables, in the order of `Replicated`."""

    versions: Sequence[int]


class Message(NamedTuple):
    """A message of the sender; `number` is 0 if its messages are not numbered."""

    key: str
    number: int
    data: bytes


class ToConnection(NamedTuple):
    """A message for one connection of the receiver, or with None close it."""

    connection: int
    data: bytes | None


class Gap(NamedTuple):
    """Messages of these keys, of unknown ones with None, were dropped; `recovered`: and then repeated."""

    keys: Sequence[str] | None
    recovered: bool


class Goodbye(NamedTuple):
    """The last frame: the sender leaves, and nothing that it has sent before is missing."""


class Ended(NamedTuple):
    """Another worker of the sender's host has ended; not `in_order`: its last messages may be missing."""

    worker: bytes
    in_order: bool


Frame = Hello | TableChange | TableChunk | Resync | Heartbeat | Message | ToConnection | Gap | Goodbye | Ended


class _Kind(enum.IntEnum):
    HELLO = 1
    CHANGE = 2
    CHUNK = 3
    RESYNC = 4
    HEARTBEAT = 5
    MESSAGE = 6
    TO_CONNECTION = 7
    GAP = 8
    GOODBYE = 9
    ENDED = 10


# Length and kind, then the fields of fixed size.
_HEAD = struct.Struct("!IB")
_HELLO = struct.Struct(f"!H{ID_BYTES}s{ID_BYTES}sII")
_CHANGE = struct.Struct("!BQ?H")
_CHUNK = struct.Struct("!BQI?")
_ENTRY = struct.Struct("!HI")
_RESYNC = struct.Struct("!B")
_HEARTBEAT = struct.Struct(f"!{len(Replicated)}Q")
_MESSAGE = struct.Struct("!QH")
_TO_CONNECTION = struct.Struct("!Q?")
_GAP = struct.Struct("!??")
_KEY = struct.Struct("!H")
_ENDED = struct.Struct(f"!{ID_BYTES}s?")
_WHOLE_MESSAGE = struct.Struct("!IBQH")
_MESSAGE_BYTES = 1 + _MESSAGE.size


def hello(frame: Hello) -> bytes:
    """Encode HELLO."""
    return _framed(_Kind.HELLO, _HELLO.pack(WIRE_VERSION, *frame))


def table_change(table: Replicated, change: Change) -> bytes:
    """Encode a change of a table."""
    key = change.key.encode()
    fields = _CHANGE.pack(table, change.version, change.value is not None, len(key))
    return _framed(_Kind.CHANGE, fields, key, change.value or b"")


def table_chunk(table: Replicated, chunk: Chunk) -> bytes:
    """Encode a part of a snapshot."""
    parts = [_CHUNK.pack(table, chunk.version, chunk.position, chunk.last)]
    for name, value in chunk.entries:
        key = name.encode()
        parts += (_ENTRY.pack(len(key), len(value)), key, value)
    return _framed(_Kind.CHUNK, *parts)


def resync(table: Replicated) -> bytes:
    """Encode the request of a snapshot."""
    return _framed(_Kind.RESYNC, _RESYNC.pack(table))


def heartbeat(versions: Sequence[int]) -> bytes:
    """Encode a heartbeat."""
    return _framed(_Kind.HEARTBEAT, _HEARTBEAT.pack(*versions))


def message(key: str, number: int, data: bytes) -> bytes:
    """Encode a message."""
    name = key.encode()
    size = len(name)
    return b"".join((_WHOLE_MESSAGE.pack(_MESSAGE_BYTES + size + len(data), _Kind.MESSAGE, number, size), name, data))


def to_connection(connection: int, data: bytes | None) -> bytes:
    """Encode a message for one connection."""
    return _framed(_Kind.TO_CONNECTION, _TO_CONNECTION.pack(connection, data is None), data or b"")


def gap(keys: Sequence[str] | None, *, recovered: bool) -> bytes:
    """Encode a gap."""
    parts = [_GAP.pack(keys is None, recovered)]
    for each in keys or ():
        key = each.encode()
        parts += (_KEY.pack(len(key)), key)
    return _framed(_Kind.GAP, *parts)


def goodbye() -> bytes:
    """Encode GOODBYE."""
    return _framed(_Kind.GOODBYE)


def ended(worker: bytes, *, in_order: bool) -> bytes:
    """Encode that another worker has ended."""
    return _framed(_Kind.ENDED, _ENDED.pack(worker, in_order))


def _framed(kind: _Kind, *parts: bytes) -> bytes:
    return b"".join((_HEAD.pack(1 + sum(map(len, parts)), kind), *parts))


class FrameDecoder:
    """Splits received bytes into frames."""

    def __init__(self) -> None:
        # The begin of a frame, and how many bytes there must be before there is more to decode.
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = _HEAD.size

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
        while end - begin >= _HEAD.size:
            length, kind = _HEAD.unpack_from(data, begin)
            # Before anything waits for that many bytes.
            if not 1 <= length <= MOST_FRAME_BYTES:
                raise FrameError(f"a frame has {length} bytes")
            after = begin + 4 + length
            if after > end:
                break
            yield _decoded(kind, data, begin + _HEAD.size, after)
            begin = after
        self._size = end - begin
        self._needed = _HEAD.size if self._size < _HEAD.size else 4 + length
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
        raise FrameError(f"a frame of the kind {_Kind(kind).name} is malformed") from None


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
    at, fields = _fields(_HELLO, data, at, end)
    _nothing_left(at, end)
    return Hello(*fields[1:])


def _decode_change(data: bytes, at: int, end: int) -> TableChange:
    at, (table, version, present, size) = _fields(_CHANGE, data, at, end)
    at, key = _part(data, at, size, end)
    if not present:
        _nothing_left(at, end)
    return TableChange(Replicated(table), Change(version, key.decode(), data[at:end] if present else None))


def _decode_chunk(data: bytes, at: int, end: int) -> TableChunk:
    at, (table, version, position, last) = _fields(_CHUNK, data, at, end)
    entries: list[tuple[str, bytes]] = []
    while at < end:
        at, (key_size, value_size) = _fields(_ENTRY, data, at, end)
        at, key = _part(data, at, key_size, end)
        at, value = _part(data, at, value_size, end)
        entries.append((key.decode(), value))
    return TableChunk(Replicated(table), Chunk(version, position, last, entries))


def _decode_resync(data: bytes, at: int, end: int) -> Resync:
    at, (table,) = _fields(_RESYNC, data, at, end)
    _nothing_left(at, end)
    return Resync(Replicated(table))


def _decode_heartbeat(data: bytes, at: int, end: int) -> Heartbeat:
    at, versions = _fields(_HEARTBEAT, data, at, end)
    _nothing_left(at, end)
    return Heartbeat(versions)


def _decode_message(data: bytes, at: int, end: int) -> Message:
    # Without `_fields` and `_part`: this one is for every message.
    key_at = at + _MESSAGE.size
    if key_at > end:
        raise FrameError("a frame is too short")
    number, size = _MESSAGE.unpack_from(data, at)
    data_at = key_at + size
    if data_at > end:
        raise FrameError("a frame is too short")
    return Message(data[key_at:data_at].decode(), number, data[data_at:end])


def _decode_to_connection(data: bytes, at: int, end: int) -> ToConnection:
    at, (connection, closes) = _fields(_TO_CONNECTION, data, at, end)
    if closes:
        _nothing_left(at, end)
    return ToConnection(connection, None if closes else data[at:end])


def _decode_gap(data: bytes, at: int, end: int) -> Gap:
    at, (unknown, recovered) = _fields(_GAP, data, at, end)
    keys: list[str] = []
    while at < end:
        at, (size,) = _fields(_KEY, data, at, end)
        at, key = _part(data, at, size, end)
        keys.append(key.decode())
    if len(keys) > MOST_GAP_KEYS or (unknown and keys):
        raise FrameError("a gap has too many keys")
    return Gap(None if unknown else keys, recovered)


def _decode_goodbye(data: bytes, at: int, end: int) -> Goodbye:
    _nothing_left(at, end)
    return Goodbye()


def _decode_ended(data: bytes, at: int, end: int) -> Ended:
    at, fields = _fields(_ENDED, data, at, end)
    _nothing_left(at, end)
    return Ended(*fields)


_DECODERS: Mapping[int, Callable[[bytes, int, int], Frame]] = {
    _Kind.HELLO: _decode_hello,
    _Kind.CHANGE: _decode_change,
    _Kind.CHUNK: _decode_chunk,
    _Kind.RESYNC: _decode_resync,
    _Kind.HEARTBEAT: _decode_heartbeat,
    _Kind.MESSAGE: _decode_message,
    _Kind.TO_CONNECTION: _decode_to_connection,
    _Kind.GAP: _decode_gap,
    _Kind.GOODBYE: _decode_goodbye,
    _Kind.ENDED: _decode_ended,
}
