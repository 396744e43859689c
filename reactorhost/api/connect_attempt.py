"""A connection to another host in the making, as the plugin that asked for it sees it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from reactorhost.api.connection import Connection

if TYPE_CHECKING:
    import asyncio


class ConnectFailedError(ConnectionError):
    """A connection to another host could not be made; the text is one sentence.

    Attributes:
        address: what was to be connected to, as text.
        reason: why not, as text.
    """

    # Where plugins know it from: its full name stands in what an operator reads.
    __module__ = "reactorhost"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot connect to {address}: {reason}")
        self.address = address
        self.reason = reason


class AttemptState(enum.Enum):
    """What came of it."""

    OPEN = "open"
    CONNECTED = "connected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ConnectAttempt:
    """What `worker.connect` returns; `await` it in an async hook for the connection.

    Attributes:
        address: what is connected to, as text.
        connection: the connection once it is there, else None.
        outcome: what came of it; for the host.
    """

    __slots__ = ("_awaited_by", "_error", "_futures", "_give_up", "address", "connection", "outcome")

    def __init__(self, address: str, give_up: Callable[[], object]) -> None:
        self.address = address
        self.connection: Connection | None = None
        self.outcome = AttemptState.OPEN
        self._give_up = give_up
        self._error: ConnectFailedError | None = None
        self._futures: list[asyncio.Future[Connection]] = []
        self._awaited_by = 0

    def __repr__(self) -> str:
        return f"<Connecting {self.address} {self.outcome.value}>"

    def cancel(self) -> None:
        """Give up: nothing is called any more, and whoever awaits it is cancelled. Without effect once it is over."""
        if self.outcome is AttemptState.OPEN:
            self.outcome = AttemptState.CANCELLED
            self._give_up()
            for future in self._taken():
                future.cancel()

    def __await__(self) -> Generator[Any, None, Connection]:
        import asyncio

        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._settle(future)
        self._awaited_by += 1
        try:
            return (yield from future.__await__())
        except asyncio.CancelledError:
            self._left_alone()
            raise
        finally:
            self._awaited_by -= 1

    def succeed(self, connection: Connection) -> None:
        """Give the connection, which is made, to whoever waits; for the host."""
        self.connection = connection
        self._settle_all()

    def fail(self, error: ConnectFailedError) -> bool:
        """Raise the error in whoever waits, and return whether anybody does; for the host."""
        self.outcome = AttemptState.FAILED
        self._error = error
        return self._settle_all()

    def _left_alone(self) -> None:
        """End what the hook that awaited it was cancelled over, unless another still wants it."""
        if self._awaited_by > 1:
            return
        if self.connection is not None:
            self.connection.close()
        else:
            self.cancel()

    def _settle_all(self) -> bool:
        futures = [future for future in self._taken() if not future.done()]
        for future in futures:
            self._settle(future)
        return bool(futures)

    def _taken(self) -> list[asyncio.Future[Connection]]:
        futures, self._futures = self._futures, []
        return futures

    def _settle(self, future: asyncio.Future[Connection]) -> None:
        if self.outcome is AttemptState.CANCELLED:
            future.cancel()
        elif self._error is not None:
            future.set_exception(self._error)
        elif self.connection is not None:
            future.set_result(self.connection)
        else:
            self._futures.append(future)
