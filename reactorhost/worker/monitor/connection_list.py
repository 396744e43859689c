"""Send the list of a worker's connections to the master, a part in each turn of the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.reactor import Reactor
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport

_ROWS_PER_TURN = 200


def send_connection_list(
    reactor: Reactor,
    transports: Iterable[StreamTransport | ConnectedTransport],
    request: int,
    send_report: Callable[[Message], object],
) -> None:
    """Answer a request of the master with a row for each connection, including those that end before their row."""
    rows = (_row(transport, reactor.now) for transport in transports)

    def send_part() -> None:
        # In parts: rows for 20,000 connections at once would delay every client.
        part = list(islice(rows, _ROWS_PER_TURN))
        last = len(part) < _ROWS_PER_TURN
        send_report({"report": Report.CONNECTIONS, "request": request, "rows": part, "last": last})
        if not last:
            reactor.call_soon(send_part)

    send_part()


def _row(transport: StreamTransport | ConnectedTransport, now: float) -> Message:
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
