"""What was sent and waits for the kernel: the bytes in their order, and who wants to hear when they are few.

Nothing here makes a system call.
"""

from __future__ import annotations

from collections.abc import Callable

_MUCH = 64 * 1024
FEW = 16 * 1024
_MOST_AT_ONCE = 256 * 1024


class SendBuffer:
    """The queue of one connection.

    Attributes:
        is_much: whether more than 64 KiB wait, or did and there are not yet as few as `FEW`.
    """

    __slots__ = ("_bytes", "_waiters", "is_much")

    def __init__(self) -> None:
        self.is_much = False
        self._bytes = bytearray()
        self._waiters: list[Callable[[bool], object]] = []

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, data: bytes, start: int) -> None:
        """Put the bytes from `start` on behind all others."""
        self._bytes += memoryview(data)[start:]
        if len(self._bytes) > _MUCH:
            self.is_much = True

    def first(self) -> memoryview:
        """Return what to send next; release it before anything is added or dropped."""
        return memoryview(self._bytes)[:_MOST_AT_ONCE]

    def drop(self, sent: int) -> None:
        """Forget so many bytes, which the kernel has taken, and tell who waits if few are left."""
        del self._bytes[:sent]
        if len(self._bytes) <= FEW:
            self.is_much = False
            self.tell_waiters(is_open=True)

    def when_few(self, tell: Callable[[bool], object]) -> None:
        """Call `tell(True)` when few bytes wait, or `tell(False)` when all is over."""
        self._waiters.append(tell)

    def tell_waiters(self, *, is_open: bool) -> None:
        """Tell everybody who waits, once."""
        waiters, self._waiters = self._waiters, []
        for tell in waiters:
            tell(is_open)
