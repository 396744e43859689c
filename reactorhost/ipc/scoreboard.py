"""The scoreboard: one shared page a worker, which it writes and the master reads, dead or alive.

The mapping is anonymous and shared across fork. A worker stores its plain counters a few times a second from its
loop; every field is aligned and stored whole, so that a reader sees each one either old or new. Fields may be of
different moments: a page is a set of gauges, not a transaction.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields

from reactorhost.histogram import BUCKETS

PAGE_BYTES = 16384
MOST_PLUGINS = 14
"""Plugins of one worker that have figures of their own; those named later are counted in the worker's only."""


@dataclass(slots=True)
class Counters:
    """The figures of one worker, in the order in which they lie on its page.

    Attributes:
        pid: process that wrote the page; 0 while nobody did.
        tick: monotonic seconds of the last write: the age of the loop's last turn.
        connections: open now.
        accepted: connections accepted.
        refused: connections that a plugin ended in its `connect` hook, or that failed before it.
        messages: calls of `receive`.
        bytes_in: bytes received.
        bytes_out: bytes that the kernel took.
        hook_errors: exceptions in hooks.
        accept_pauses: times that accepting paused for want of descriptors or room.
        rss_peak_bytes: largest resident memory so far.
        cpu_seconds: processor time used so far, user and system.
        lag_max_seconds: longest turn of the loop in about the last second.
    """

    pid: int = 0
    tick: float = 0.0
    connections: int = 0
    accepted: int = 0
    refused: int = 0
    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    hook_errors: int = 0
    accept_pauses: int = 0
    rss_peak_bytes: int = 0
    cpu_seconds: float = 0.0
    lag_max_seconds: float = 0.0


@dataclass(slots=True)
class Timings:
    """Sampled calls: of `receive` as a whole on a worker's page, and of each plugin's hooks.

    Attributes:
        calls: calls of `receive` that were timed.
        nanoseconds: time in all timed hooks, without that of other plugins inside.
        errors: exceptions, every one and not only sampled ones.
        receive: timed calls of `receive` by duration.
    """

    calls: int = 0
    nanoseconds: int = 0
    errors: int = 0
    receive: list[int] = field(default_factory=lambda: [0] * BUCKETS)


TOTALS = ("accepted", "refused", "messages", "bytes_in", "bytes_out", "hook_errors")
"""The counters that only grow, which a host keeps adding up after a worker ended."""

_COUNTERS = struct.Struct("".join("d" if each.type == "float" else "q" for each in fields(Counters)))
_TIMINGS = struct.Struct(f"{3 + BUCKETS}q")
_TIMINGS_AT = -(-_COUNTERS.size // 8) * 8

assert _TIMINGS_AT + (1 + MOST_PLUGINS) * _TIMINGS.size <= PAGE_BYTES


class Scoreboard:
    """Pages for at most `capacity` workers that live at the same time."""

    def __init__(self, capacity: int) -> None:
        self._memory = mmap.mmap(-1, capacity * PAGE_BYTES)
        self._free = list(range(capacity - 1, -1, -1))

    def take_page(self) -> int:
        """Return the number of a zeroed page that nobody uses.

        Raises:
            IndexError: more workers live than the board has pages.
        """
        page = self._free.pop()
        self._memory[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
        return page

    def give_back(self, page: int) -> None:
        """Take a page back from a worker that ended."""
        self._free.append(page)

    def write(self, page: int, counters: Counters) -> None:
        """Store a worker's counters on its page."""
        _COUNTERS.pack_into(self._memory, page * PAGE_BYTES, *astuple(counters))

    def read(self, page: int) -> Counters:
        """Return what the page's worker stored last."""
        return Counters(*_COUNTERS.unpack_from(self._memory, page * PAGE_BYTES))

    def write_timings(self, page: int, timings: Sequence[Timings]) -> None:
        """Store the worker's timings and those of its plugins, in this order."""
        for position, each in enumerate(timings[: 1 + MOST_PLUGINS]):
            at = page * PAGE_BYTES + _TIMINGS_AT + position * _TIMINGS.size
            _TIMINGS.pack_into(self._memory, at, each.calls, each.nanoseconds, each.errors, *each.receive)

    def read_timings(self, page: int, plugins: int) -> list[Timings]:
        """Return the worker's timings and those of its first `plugins` plugins."""
        found: list[Timings] = []
        for position in range(1 + min(plugins, MOST_PLUGINS)):
            at = page * PAGE_BYTES + _TIMINGS_AT + position * _TIMINGS.size
            calls, nanoseconds, errors, *receive = _TIMINGS.unpack_from(self._memory, at)
            found.append(Timings(calls, nanoseconds, errors, receive))
        return found
