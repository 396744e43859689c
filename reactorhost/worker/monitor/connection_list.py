"""Send the list of a worker's connections to the master, a part in each turn of the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.reactor import Reactor
from reactorhost.worker.stream.transport import StreamTransport

_ROWS_PER_TURN = 200


class ConnectionListSender:
    """Answers one request of the master; `send_report` sends a report."""

    def __init__(self, reactor: Reactor, request: int, send_report: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._request = request
        self._send_report = send_report

    def send(self, transports: Iterable[StreamTransport]) -> None:
        """Send a row for each connection, including those that end before their row is sent."""
        self._send_rows(_row(transport, self._reactor.now) for transport in transports)

    def _send_rows(self, rows: Iterator[Message]) -> None:
        # In parts: rows for 20,000 connections at once would delay every client.
        part = list(islice(rows, _ROWS_PER_TURN))
        last = len(part) < _ROWS_PER_TURN
        self._send_report({"report": Report.CONNECTIONS, "request": self._request, "rows": part, "last": last})
        if not last:
            self._reactor.call_soon(self._send_rows, rows)


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
