"""The scoreboard: one shared page a worker, which it writes and the master reads, dead or alive.

The mapping is anonymous and shared across fork. A worker stores its plain counters a few times a second from its
loop; every field is aligned and stored whole, so that a reader sees each one either old or new. Fields may be of
different moments: a page is a set of gauges, not a transaction.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import astuple, dataclass, fields

PAGE_BYTES = 4096


@dataclass(slots=True)
class Counters:
    """The figures of one worker, in the order in which they lie on its page.

    Attributes:
        pid: process that wrote the page; 0 while nobody did.
        tick: monotonic seconds of the last write: the age of the loop's last turn.
        active_at: monotonic seconds of the turn that last received something.
        connections: open now.
        accepted: connections accepted.
        messages: calls of `receive`.
        bytes_in: bytes received.
        bytes_out: bytes that the kernel took.
        hook_errors: exceptions in hooks.
        accept_pauses: times that accepting paused for want of descriptors.
        rss_peak_bytes: largest resident memory so far.
    """

    pid: int = 0
    tick: float = 0.0
    active_at: float = 0.0
    connections: int = 0
    accepted: int = 0
    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    hook_errors: int = 0
    accept_pauses: int = 0
    rss_peak_bytes: int = 0


_LAYOUT = struct.Struct("".join("d" if field.type == "float" else "q" for field in fields(Counters)))

TOTALS = ("accepted", "messages", "bytes_in", "bytes_out", "hook_errors")
"""The counters that only grow, which a host keeps adding up after a worker ended."""


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
        self.write(page, Counters())
        return page

    def give_back(self, page: int) -> None:
        """Take a page back from a worker that ended."""
        self._free.append(page)

    def write(self, page: int, counters: Counters) -> None:
        """Store a worker's counters on its page."""
        _LAYOUT.pack_into(self._memory, page * PAGE_BYTES, *astuple(counters))

    def read(self, page: int) -> Counters:
        """Return what the page's worker stored last."""
        return Counters(*_LAYOUT.unpack_from(self._memory, page * PAGE_BYTES))
