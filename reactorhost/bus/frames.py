"""The frames in which workers send each other messages and tables, and their encoding; nothing here does I/O.

A frame is four bytes with the length of the rest, a byte with the kind, and the fields of this kind. All numbers are
big-endian, texts are UTF-8 behind their length. The last field of a kind takes the rest of the frame.

HELLO comes first, and its first field is the version of all this. Workers of one host may have loaded different
versions of this file: a worker imports it when it first uses the bus, and an upgrade may have replaced it by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
    MESSAGE_BYTES,
    RESYNC,
    TO_CONNECTION,
    WHOLE_MESSAGE,
    Kind,
)
from reactorhost.bus.replica import Change, Chunk, Replicated

WIRE_VERSION = 1

MOST_FRAME_BYTES = 80 << 20
"""Longer frames are refused: no setting allows a message, and no table an entry, that needs more."""
MOST_GAP_KEYS = 1000
"""Keys that a GAP may name."""


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


def hello(frame: Hello) -> bytes:
    """Encode HELLO."""
    return _framed(Kind.HELLO, HELLO.pack(WIRE_VERSION, *frame))


def table_change(table: Replicated, change: Change) -> bytes:
    """Encode a change of a table."""
    key = change.key.encode()
    fields = CHANGE.pack(table, change.version, change.value is not None, len(key))
    return _framed(Kind.CHANGE, fields, key, change.value or b"")


def table_chunk(table: Replicated, chunk: Chunk) -> bytes:
    """Encode a part of a snapshot."""
    parts = [CHUNK.pack(table, chunk.version, chunk.position, chunk.last)]
    for name, value in chunk.entries:
        key = name.encode()
        parts += (ENTRY.pack(len(key), len(value)), key, value)
    return _framed(Kind.CHUNK, *parts)


def resync(table: Replicated) -> bytes:
    """Encode the request of a snapshot."""
    return _framed(Kind.RESYNC, RESYNC.pack(table))


def heartbeat(versions: Sequence[int]) -> bytes:
    """Encode a heartbeat."""
    return _framed(Kind.HEARTBEAT, HEARTBEAT.pack(*versions))


def message(key: str, number: int, data: bytes) -> bytes:
    """Encode a message."""
    name = key.encode()
    size = len(name)
    return b"".join(
        (
            WHOLE_MESSAGE.pack(MESSAGE_BYTES + size + len(data), Kind.MESSAGE, number, size),
            name,
            data,
        )
    )


def to_connection(connection: int, data: bytes | None) -> bytes:
    """Encode a message for one connection."""
    return _framed(Kind.TO_CONNECTION, TO_CONNECTION.pack(connection, data is None), data or b"")


def gap(keys: Sequence[str] | None, *, recovered: bool) -> bytes:
    """Encode a gap."""
    parts = [GAP.pack(keys is None, recovered)]
    for each in keys or ():
        key = each.encode()
        parts += (KEY.pack(len(key)), key)
    return _framed(Kind.GAP, *parts)


def goodbye() -> bytes:
    """Encode GOODBYE."""
    return _framed(Kind.GOODBYE)


def ended(worker: bytes, *, in_order: bool) -> bytes:
    """Encode that another worker has ended."""
    return _framed(Kind.ENDED, ENDED.pack(worker, in_order))


def _framed(kind: Kind, *parts: bytes) -> bytes:
    return b"".join((HEAD.pack(1 + sum(map(len, parts)), kind), *parts))
