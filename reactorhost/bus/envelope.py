"""What a backend carries: a message or frames, behind a header that says which worker has sent them.

    version  host  worker  flags  sequence  number  data
       1       8      8      1       8         8     rest

Host and version have the same place in every version, so that a worker can drop what comes back from its own host, and
what it cannot read. The sequence counts the messages of a worker with one key, without a gap; the number is the one
that the history has given to the message, 0 if it is not kept.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from reactorhost.bus.refs import ID_BYTES, Origin

VERSION = 1
"""The version of the envelope, and of the frames in it."""

_HEADER = struct.Struct(f"!B{ID_BYTES}s{ID_BYTES}sBQQ")
_HOST = slice(1, 1 + ID_BYTES)


class EnvelopeError(ValueError):
    """A payload cannot be read; the text is for the log."""


class EnvelopeFlags(enum.IntFlag):
    """What a header says beside its fields."""

    BEGINS = 1
    """The sender does not remember an earlier message with this key: nothing is known to be missing before it."""
    NOTICE = 2
    """There is no message. The sequence is that of the last one, which may have been dropped, and the number says how
    many milliseconds ago one was dropped."""


class Envelope(NamedTuple):
    """One payload."""

    host: bytes
    worker: bytes
    flags: EnvelopeFlags
    sequence: int
    number: int
    data: bytes

    @classmethod
    def notice(cls, origin: Origin, sequence: int, seconds: float) -> Envelope:
        """Return a notice of messages up to `sequence`, the last of which was dropped so many seconds ago."""
        return cls(origin.host, origin.worker, EnvelopeFlags.NOTICE, sequence, int(seconds * 1000), b"")

    @property
    def dropped_seconds(self) -> float:
        """How many seconds ago the last message of a notice was dropped, at least."""
        return self.number / 1000

    @property
    def origin(self) -> Origin:
        """The worker that has sent it."""
        return Origin(self.host, self.worker)

    @property
    def begins(self) -> bool:
        """Whether nothing is known to be missing before it."""
        return bool(self.flags & EnvelopeFlags.BEGINS)

    @property
    def is_notice(self) -> bool:
        """Whether there is no message in it."""
        return bool(self.flags & EnvelopeFlags.NOTICE)


def sealed(envelope: Envelope) -> bytes:
    """Return an envelope as bytes."""
    host, worker, flags, sequence, number, data = envelope
    return _HEADER.pack(VERSION, host, worker, flags, sequence, number) + data


def is_from(host: bytes, payload: bytes) -> bool:
    """Return whether a worker of this host has sent a payload."""
    return payload[_HOST] == host


def opened(payload: bytes) -> Envelope:
    """Return what a payload contains.

    Raises:
        EnvelopeError: it has another version, or is none.
    """
    if payload and payload[0] != VERSION:
        raise EnvelopeError(f"it has version {payload[0]} of the bus, this worker version {VERSION}")
    if len(payload) < _HEADER.size:
        raise EnvelopeError("it is too short; is something else published with the same prefix?")
    _, host, worker, flags, sequence, number = _HEADER.unpack_from(payload)
    if flags & ~_KNOWN_FLAGS:
        raise EnvelopeError("it has an unknown flag; is something else published with the same prefix?")
    return Envelope(host, worker, EnvelopeFlags(flags), sequence, number, payload[_HEADER.size :])


_KNOWN_FLAGS = sum(EnvelopeFlags)
