"""Files on their way to a connection."""

from __future__ import annotations

from reactorhost.api.awaitable import AwaitableTask


class FileSend(AwaitableTask[int]):
    """A file that `connection.send_file` has begun to send.

    In an async hook, `await` returns the number of bytes once the kernel has accepted all of them, or raises a
    `ConnectionError`. It cannot be cancelled: the client would not know that the rest is missing.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """Do nothing."""

    def _on_cancel(self) -> None:
        """Do nothing: it is never cancelled."""
