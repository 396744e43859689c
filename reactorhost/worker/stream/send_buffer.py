"""Bytes that wait until the kernel has room, and the functions to call once few of them are left.

Nothing here makes a system call.
"""

from __future__ import annotations

from collections.abc import Callable

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
_LARGEST_SEND = 256 * 1024


class SendBuffer:
    """The send buffer of one connection.

    Attributes:
        is_full: whether it has passed `HIGH_WATER` and is not yet down to `LOW_WATER`.
    """

    __slots__ = ("_bytes", "_waiters", "is_full")

    def __init__(self) -> None:
        self.is_full = False
        self._bytes = bytearray()
        self._waiters: list[tuple[int, Callable[[bool], object]]] = []

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, data: bytes, start: int) -> None:
        """Append `data[start:]`."""
        self._bytes += memoryview(data)[start:]
        if len(self._bytes) > HIGH_WATER:
            self.is_full = True

    def first(self) -> memoryview:
        """Return what to send next; release it before anything is added or dropped."""
        return memoryview(self._bytes)[:_LARGEST_SEND]

    def drop(self, sent: int) -> None:
        """Remove the first bytes, which the kernel has accepted, and call the functions that wait for so few."""
        # CPython moves the start of a bytearray, and copies nothing.
        del self._bytes[:sent]
        left = len(self._bytes)
        if left <= LOW_WATER:
            self.is_full = False
        if self._waiters:
            waiters = self._waiters
            self._waiters = [(low, function) for low, function in waiters if left > low]
            for low, function in waiters:
                if left <= low:
                    function(True)

    def when_low(self, function: Callable[[bool], object], low: int = LOW_WATER) -> None:
        """Call `function(True)` once at most `low` bytes are left, or `function(False)` when none can be sent."""
        self._waiters.append((low, function))

    def notify_waiters(self) -> None:
        """Notify the waiting functions that nothing can be sent any more."""
        waiters, self._waiters = self._waiters, []
        for _, function in waiters:
            function(False)
