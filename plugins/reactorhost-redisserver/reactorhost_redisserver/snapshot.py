"""The file of a snapshot: all keys of a keyspace, with a checksum.

    magic, version          24 bytes of text, which end with a newline
    a record for each key   kind (1: string, 2: hash, 3: list, 4: set), database, expiry, key; then the value, or the
                            number of fields and each name and value, or the number of elements or members and each
    the end                 kind 0, the number of keys, the time of the snapshot, and the CRC-32 of all bytes before it

Numbers are in little-endian order, times Unix milliseconds, and each text has its length before it. The file is
replaced as a whole: a new one is written beside it, flushed to the disk, and renamed. Version 1 has no lists and sets.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reactorhost_redisserver.keyspace import Hash, Keyspace, Value

MAGIC = b"reactorhost-redis %5d\n" % 2
_KNOWN = (MAGIC, b"reactorhost-redis %5d\n" % 1)
_KINDS: dict[type, int] = {bytes: 1, dict: 2, deque: 3, set: 4}
_STRING, _HASH, _LIST, _SET = _KINDS.values()
_END = 0
_KEY = struct.Struct("<BHqI")
_LENGTH = struct.Struct("<I")
_PAIR = struct.Struct("<II")
_TAIL = struct.Struct("<BQqI")
_NEVER = -1
_PIECE = 1 << 20
_STEP_KEYS = 2000


class SnapshotError(Exception):
    """A file is no snapshot, or is damaged; the text is what is wrong with it."""


def temporary(path: Path) -> Path:
    """Return the name of a file while it is written."""
    return path.with_name(f"{path.name}.new")


def write_snapshot(path: Path, keyspace: Keyspace) -> None:
    """Replace the file by one with all keys.

    Raises:
        OSError: it cannot be written. The old one is still there.
    """
    new = temporary(path)
    try:
        _write(new, keyspace)
        new.replace(path)
    except OSError:
        # On a full disk the part that was written would keep the space that others need.
        with suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The name of the file is safe only when its folder is.
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, keyspace: Keyspace) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        checksum = 0
        for piece in _pieces(keyspace):
            checksum = zlib.crc32(piece, checksum)
            file.write(piece)
        file.write(_LENGTH.pack(checksum))
        file.flush()
        os.fsync(file.fileno())


def _pieces(keyspace: Keyspace) -> Iterator[bytearray]:
    piece, count = bytearray(MAGIC), 0
    for database in keyspace.databases:
        expires, index = database.expires, database.index
        for key, value in database.values.items():
            piece += _KEY.pack(_KINDS[type(value)], index, expires.get(key, _NEVER), len(key))
            piece += key
            piece += _LENGTH.pack(len(value))
            if isinstance(value, bytes):
                piece += value
            elif isinstance(value, dict):
                for name, field in value.items():
                    piece += _PAIR.pack(len(name), len(field))
                    piece += name
                    piece += field
            else:
                for element in value:
                    piece += _LENGTH.pack(len(element))
                    piece += element
            count += 1
            if len(piece) >= _PIECE:
                yield piece
                piece = bytearray()
    piece += _TAIL.pack(_END, count, keyspace.now, 0)[: -_LENGTH.size]
    yield piece


def read_snapshot(path: Path, keyspace: Keyspace) -> Iterator[None]:
    """Replace the keys of a keyspace by those of a file, or by none if there is no file, in steps of milliseconds.

    Raises:
        SnapshotError: the file is no snapshot; found before the first key is read.
        OSError: it cannot be read.
    """
    keyspace.clear()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        size = os.fstat(file.fileno()).st_size
        if size < len(MAGIC) + _TAIL.size:
            raise SnapshotError("it is too short")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _check(data, size)
            yield from _read_keys(data, keyspace)


def _check(data: mmap.mmap, size: int) -> Iterator[None]:
    magic = data[: len(MAGIC)]
    if magic not in _KNOWN:
        known = magic[:17] == MAGIC[:17]
        raise SnapshotError(
            f"its format {magic[17:-1].decode().strip()} is not known" if known else "it is something else"
        )
    checksum = 0
    for start in range(0, size - _LENGTH.size, _PIECE):
        checksum = zlib.crc32(data[start : min(start + _PIECE, size - _LENGTH.size)], checksum)
        yield
    if _LENGTH.unpack_from(data, size - _LENGTH.size) != (checksum,):
        raise SnapshotError("its checksum is wrong")


def _read_keys(data: mmap.mmap, keyspace: Keyspace) -> Iterator[None]:
    databases, at, count = keyspace.databases, len(MAGIC), 0
    while data[at] != _END:
        kind, index, expires_at, length = _KEY.unpack_from(data, at)
        at += _KEY.size
        key = data[at : at + length]
        at += length
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if index >= len(databases):
            raise SnapshotError(f"it has a database {index}")
        value, at = _value(data, at, kind, length)
        databases[index].store(key, value, None if expires_at == _NEVER else expires_at)
        count += 1
        if count % _STEP_KEYS == 0:
            yield


def _value(data: mmap.mmap, at: int, kind: int, length: int) -> tuple[Value, int]:
    if kind == _STRING:
        return data[at : at + length], at + length
    if kind == _HASH:
        return _fields(data, at, length)
    if kind not in (_LIST, _SET):
        raise SnapshotError(f"it has a value of the unknown kind {kind}")
    elements, at = _elements(data, at, length)
    return (deque(elements) if kind == _LIST else set(elements)), at


def _elements(data: mmap.mmap, at: int, count: int) -> tuple[list[bytes], int]:
    elements: list[bytes] = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        elements.append(data[at : at + length])
        at += length
    return elements, at


def _fields(data: mmap.mmap, at: int, count: int) -> tuple[Hash, int]:
    fields: Hash = {}
    for _ in range(count):
        name_length, value_length = _PAIR.unpack_from(data, at)
        at += _PAIR.size
        middle = at + name_length
        fields[data[at:middle]] = data[middle : middle + value_length]
        at = middle + value_length
    return fields, at
