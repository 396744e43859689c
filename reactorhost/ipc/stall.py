"""The field of a page of the scoreboard that names the code which blocks the worker's loop.

A signal handler of the worker writes it, on top of that code and maybe of another write here, so it is memory only. The
time is zero while the text changes: a reader that sees a time has the text that belongs to it, or for a moment of the
next place in the code a mixture.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

STALL_BYTES = 512

_SINCE = struct.Struct("d")
_NO_TIME = bytes(_SINCE.size)
_MOST_NAME_BYTES = 64
_MOST_PLACE_BYTES = STALL_BYTES - _SINCE.size - 3 * (_MOST_NAME_BYTES + 1)


@dataclass(frozen=True, slots=True)
class Stall:
    """Code of a plugin that blocks the loop since this moment, in monotonic seconds; `peer` is the client if known."""

    plugin: str
    hook: str
    where: str
    since: float
    peer: str | None = None

    def fields(self) -> dict[str, str]:
        """Return the place as fields of a log line."""
        client = {} if self.peer is None else {"peer": self.peer}
        return {"plugin": self.plugin, "hook": self.hook, "where": self.where, **client}

    def __str__(self) -> str:
        """Return the place in words."""
        return place(self.plugin, self.hook, self.where, self.peer)


def place(plugin: str, hook: str, where: str, peer: str | None = None) -> str:
    """Return a place in the code of a plugin: `made.receive at made.py:3 for 10.0.0.7:4711`.

    The hook may be unknown.
    """
    client = "" if peer is None else f" for {peer}"
    return f"{plugin} at {where}{client}" if hook == "?" else f"{plugin}.{hook} at {where}{client}"


def write_stall(memory: mmap.mmap | memoryview, at: int, stall: Stall | None) -> None:
    """Store what blocks the loop in the field at this position, or None while the loop turns."""
    memory[at : at + _SINCE.size] = _NO_TIME
    if stall is None:
        return
    # The end of a path, which has the line.
    where = stall.where.encode(errors="replace")[-_MOST_PLACE_BYTES:]
    plugin, hook, peer = (
        name.encode(errors="replace")[:_MOST_NAME_BYTES] for name in (stall.plugin, stall.hook, stall.peer or "")
    )
    # The peer last: a reader of a version that does not know it finds the others.
    text = b"\0".join((plugin, hook, where, peer)).ljust(STALL_BYTES - _SINCE.size, b"\0")
    memory[at + _SINCE.size : at + STALL_BYTES] = text
    memory[at : at + _SINCE.size] = _SINCE.pack(stall.since)


def read_stall(memory: mmap.mmap | memoryview, at: int) -> Stall | None:
    """Return what blocks the loop, or None."""
    (since,) = _SINCE.unpack_from(memory, at)
    if not since:
        return None
    text = bytes(memory[at + _SINCE.size : at + STALL_BYTES])
    if _SINCE.unpack_from(memory, at) != (since,):
        return None
    # A name that was cut may end within a character.
    plugin, hook, where, peer, *_ = (*(part.decode(errors="replace") for part in text.split(b"\0")), "", "", "")
    return Stall(plugin, hook, where, since, peer or None)
