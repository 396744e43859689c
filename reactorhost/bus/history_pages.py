"""The wire format in which one worker reads the history of another, page by page.

The reader requests each page, so what is on its way is bounded by one page. Two bytes in front are a version and the
kind; both kinds begin with the worker that has sent it and a number that its reader has chosen for the transfer. All
numbers are big-endian. Times are those of the system's monotonic clock, which all processes of a host share.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from reactorhost.bus.history import Entry, Part
from reactorhost.bus.refs import ID_BYTES

_VERSION = 1
_REQUEST = 1
_PAGE = 2
_HEAD = struct.Struct(f"!BB{2 * ID_BYTES}sI??")
_PART = struct.Struct("!HdI")
_ENTRY = struct.Struct(f"!{2 * ID_BYTES}sQI")


class PageRequest(NamedTuple):
    """Request a page of a transfer.

    Attributes:
        sender: the reader: ids of host and worker, one after the other.
        transfer: number of the transfer.
        begins: whether this is the first page; the transfer before it is abandoned.
        own: whether only the messages that the receiver has published are requested.
    """

    sender: bytes
    transfer: int
    begins: bool
    own: bool


class Page(NamedTuple):
    """A page of a transfer.

    Attributes:
        sender: the worker that is read.
        transfer: number of the transfer.
        last: whether no page follows.
        complete: whether the sender itself has the history of those before it.
        parts: the entries; those of one key are in order and follow each other, also over several pages.
    """

    sender: bytes
    transfer: int
    last: bool
    complete: bool
    parts: Sequence[Part]


def encoded_request(request: PageRequest) -> bytes:
    """Encode a request."""
    return _HEAD.pack(_VERSION, _REQUEST, *request)


def encoded_page(page: Page) -> bytes:
    """Encode a page."""
    chunks = [_HEAD.pack(_VERSION, _PAGE, *page[:-1])]
    for part in page.parts:
        key = part.key.encode()
        chunks += (_PART.pack(len(key), part.last_at, len(part.entries)), key)
        for entry in part.entries:
            chunks += (_ENTRY.pack(entry.origin, entry.number, len(entry.data)), entry.data)
    return b"".join(chunks)


def decoded(data: bytes) -> PageRequest | Page:
    """Decode either.

    Raises:
        ValueError: the bytes are neither, or of another version.
    """
    try:
        version, kind, sender, transfer, first, second = _HEAD.unpack_from(data)
        if version == _VERSION and kind == _PAGE:
            return Page(sender, transfer, first, second, _decoded_parts(data, _HEAD.size))
        if version == _VERSION and kind == _REQUEST:
            return PageRequest(sender, transfer, first, second)
    except struct.error:
        pass
    raise ValueError("not a page of a history, or a request of one, in this version")


def _decoded_parts(data: bytes, at: int) -> list[Part]:
    parts = []
    while at < len(data):
        size, last_at, count = _PART.unpack_from(data, at)
        at += _PART.size
        key, at = _cut(data, at, size)
        entries = []
        for _ in range(count):
            origin, number, size = _ENTRY.unpack_from(data, at)
            content, at = _cut(data, at + _ENTRY.size, size)
            entries.append(Entry(origin, number, content))
        parts.append(Part(key.decode(), last_at, entries))
    return parts


def _cut(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(data):
        raise struct.error("the data ends in the middle of a field")
    return data[at:end], end
