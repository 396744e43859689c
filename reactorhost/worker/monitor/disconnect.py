"""Close one connection for an operator."""

from __future__ import annotations

from collections.abc import Iterable

from reactorhost.api.close_reason import CloseReason
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.worker.monitor.connection_rows import Transport
from reactorhost.worker.stream.closing import OPEN, CloseEvent
from reactorhost.worker.stream.transport import StreamTransport


def disconnect(transports: Iterable[Transport], request: int, number: int) -> Message:
    """Close the connection with this id, at once if it is being closed already, and return the report."""
    found = next((transport for transport in transports if transport.connection.id == number), None)
    report: Message = {"report": Report.DISCONNECTED, "request": request}
    if found is None:
        return {**report, "service": None, "peer": None}
    connection = found.connection
    report |= {"service": connection.service, "peer": str(connection.peer)}
    if isinstance(found, StreamTransport) and found.close_state is not OPEN:
        # What is queued for a client that reads slowly could take for ever.
        found.advance(CloseEvent.ABORT, CloseReason.OPERATOR)
    else:
        found.close_for(CloseReason.OPERATOR)
    return report
