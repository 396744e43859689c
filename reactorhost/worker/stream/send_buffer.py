"""Bytes and parts of files that wait until the kernel has room, and the functions to call once few bytes are left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from reactorhost.worker.stream.file_part import FilePart

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
_LARGEST_SEND = 256 * 1024


class SendBuffer:
    """The send buffer of one connection. Its length is that of the bytes and of the files.

    Attributes:
        is_full: whether it has passed `HIGH_WATER` and is not yet down to `LOW_WATER`.
    """

    __slots__ = ("_bytes", "_files", "_waiters", "is_full")

    def __init__(self) -> None:
        self.is_full = False
        self._bytes = bytearray()
        # The parts of files behind these bytes, each with the bytes behind it; None when there is none.
        self._files: deque[tuple[FilePart, bytearray]] | None = None
        self._waiters: list[tuple[int, Callable[[bool], object]]] = []

    def __len__(self) -> int:
        if self._files is None:
            return len(self._bytes)
        return len(self._bytes) + sum(part.left + len(behind) for part, behind in self._files)

    @property
    def memory_bytes(self) -> int:
        """How many bytes it holds itself."""
        if self._files is None:
            return len(self._bytes)
        return len(self._bytes) + sum(len(behind) for _, behind in self._files)

    def add(self, data: bytes, start: int) -> None:
        """Append `data[start:]`."""
        last = self._bytes if self._files is None else self._files[-1][1]
        last += memoryview(data)[start:]
        if len(last) > HIGH_WATER or (self._files is not None and len(self) > HIGH_WATER):
            self.is_full = True

    def add_file(self, part: FilePart) -> None:
        """Append a part of a file; an empty one ends once what is before it was sent."""
        if self._files is None:
            self._files = deque()
        self._files.append((part, bytearray()))
        self._end_files(self._files)
        if len(self) > HIGH_WATER:
            self.is_full = True

    def first_file(self) -> FilePart | None:
        """Return the part of a file to send next, or None if bytes are next."""
        return None if self._bytes or self._files is None else self._files[0][0]

    def first(self) -> memoryview:
        """Return what to send next; release it before anything is added or dropped."""
        return memoryview(self._bytes)[:_LARGEST_SEND]

    def drop(self, sent: int) -> None:
        """Remove the first bytes, which the kernel has accepted, and call the functions that wait for so few."""
        # CPython moves the start of a bytearray, and copies nothing. A file that is first counts by itself.
        del self._bytes[:sent]
        if self._files is not None:
            self._end_files(self._files)
        left = len(self._bytes) if self._files is None else len(self)
        if left <= LOW_WATER:
            self.is_full = False
        if self._waiters:
            waiters = self._waiters
            self._waiters = [(low, function) for low, function in waiters if left > low]
            for low, function in waiters:
                if left <= low:
                    function(True)

    def _end_files(self, files: deque[tuple[FilePart, bytearray]]) -> None:
        """End the files that were sent, up to the bytes behind one of them."""
        while not self._bytes and files and not files[0][0].left:
            part, self._bytes = files.popleft()
            part.end(is_sent=True)
        if not files:
            self._files = None

    def when_low(self, function: Callable[[bool], object], low: int = LOW_WATER) -> None:
        """Call `function(True)` once at most `low` bytes are left, or `function(False)` when none can be sent."""
        self._waiters.append((low, function))

    def abandon(self) -> None:
        """Release the files, and notify the waiting functions that nothing can be sent any more."""
        files, self._files = self._files, None
        for part, _ in files or ():
            part.end(is_sent=False)
        waiters, self._waiters = self._waiters, []
        for _, function in waiters:
            function(False)
