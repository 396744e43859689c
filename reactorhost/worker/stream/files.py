"""Sending files: what `connection.send_file` does, in each state of the sending half."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import BinaryIO

from reactorhost.api.connection_ended import ConnectionEndedError
from reactorhost.api.file_send import FileSend
from reactorhost.worker.stream import sending
from reactorhost.worker.stream.file_part import FilePart, checked_part
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.states import FIN_PENDING

OnResult = Callable[[int], object]


def send_file(stream: Stream, file: BinaryIO, offset: int, count: int | None, on_result: OnResult | None) -> FileSend:
    """Send a part of a file behind what is queued; see `Connection.send_file`."""
    descriptor, offset, count = checked_part(file, offset, count)
    result = FileSend()
    if stream.send_state >= FIN_PENDING:
        result.set_exception(_not_sent(stream.variables))
        return result

    def ended(is_sent: bool) -> None:
        if not is_sent:
            result.set_exception(_not_sent(stream.variables))
            return
        result.set_result(count)
        if on_result is not None:
            # Not from within `send_file`, nor while the buffer is being changed.
            stream.context.reactor.call_soon(stream.call_now, on_result, count)

    part = FilePart(descriptor, offset, count, stream.context.chain.caller() or "?", ended)
    was_corked = stream.corked is not None
    sending.uncork(stream)
    sending.send_part(stream, part)
    if was_corked:
        sending.cork(stream)
    return result


def refuse_file(file: BinaryIO, offset: int, count: int | None, variables: Context) -> FileSend:
    """Return the result for a connection that has ended, with its context."""
    checked_part(file, offset, count)
    result = FileSend()
    result.set_exception(_not_sent(variables))
    return result


def _not_sent(variables: Context) -> ConnectionEndedError:
    return ConnectionEndedError("the connection has ended before all of the file was sent", variables)
