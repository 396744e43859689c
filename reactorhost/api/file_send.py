"""Files on their way to a connection."""

from __future__ import annotations

from contextvars import Context

from reactorhost.api.awaitable import AwaitableTask


class ConnectionEndedError(ConnectionError):
    """A connection has ended before all of a file was sent.

    A hook of that connection that it ends has not failed: clients may leave at any time.

    Attributes:
        variables: the context of the connection. Not the connection itself: an exception that is kept would keep it.
    """

    def __init__(self, variables: Context) -> None:
        super().__init__("the connection has ended before all of the file was sent")
        self.variables = variables


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
