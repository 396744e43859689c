"""Outbound connections that are not established yet."""

from __future__ import annotations

from collections.abc import Callable

from reactorhost.api.awaitable import AwaitableTask, TaskState
from reactorhost.api.connection import Connection


class ConnectFailedError(ConnectionError):
    """A connection to another host could not be established; its text is one sentence.

    Attributes:
        address: the address, as text.
        reason: why it failed, as text.
    """

    # The name by which plugins import it: tracebacks and the log show the full name.
    __module__ = "reactorhost"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot connect to {address}: {reason}")
        self.address = address
        self.reason = reason


class ConnectAttempt(AwaitableTask[Connection]):
    """A connection that `worker.connect` is establishing.

    In an async hook, `await attempt` returns the connection, after the handler's `connect` was called, or raises
    `ConnectFailedError`. When the last hook that awaits it is cancelled, the attempt is cancelled; if the connection is
    established at that moment and no hook has got it, it is closed.

    Attributes:
        address: the address, as text.
    """

    __slots__ = ("_stop", "address")

    def __init__(self, address: str, stop: Callable[[], object]) -> None:
        super().__init__()
        self.address = address
        self._stop = stop

    def __repr__(self) -> str:
        return f"<ConnectAttempt {self.address} {self.state.value}>"

    @property
    def connection(self) -> Connection | None:
        """The connection once it is established, else None."""
        return self._result

    def commit(self) -> None:
        """Make `cancel` do nothing from now on; `set_result` follows."""
        super().commit()
        # What it stops refers to the attempt.
        self._stop = _do_nothing

    def _on_cancel(self) -> None:
        self._stop()

    def _on_abandoned(self) -> None:
        if self.state is TaskState.DONE and self._result is not None:
            self._result.close()
        else:
            self.cancel()


def _do_nothing() -> None:
    """Do nothing: it cannot be stopped any more."""
