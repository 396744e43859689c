"""The list of a worker's connections, told to the master some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.reactor import Reactor
from reactorhost.worker.stream.transport import StreamTransport

_ROWS_A_TURN = 200


class Listing:
    """Answers one question of the master; `tell_master` sends a report."""

    def __init__(self, reactor: Reactor, request: int, tell_master: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._request = request
        self._tell_master = tell_master

    def tell(self, transports: Iterable[StreamTransport]) -> None:
        """Send a row for each connection, those that end meanwhile too."""
        self._tell_some(_row(transport, self._reactor.now) for transport in transports)

    def _tell_some(self, rows: Iterator[Message]) -> None:
        # A few a turn: listing 20,000 clients must not keep any of them waiting.
        some = list(islice(rows, _ROWS_A_TURN))
        last = len(some) < _ROWS_A_TURN
        self._tell_master({"report": Report.CONNECTIONS, "request": self._request, "rows": some, "last": last})
        if not last:
            self._reactor.call_soon(self._tell_some, rows)


def _row(transport: StreamTransport, now: float) -> Message:
    connection = transport.connection
    return {
        "id": connection.id,
        "service": connection.service,
        "peer": str(connection.peer),
        "age_seconds": round(connection.age, 3),
        "idle_seconds": round(max(0.0, now - transport.active_at), 3),
        "bytes_in": connection.bytes_in,
        "bytes_out": connection.bytes_out,
        "queued_bytes": connection.queued,
        "state": transport.close_state.value,
    }
