"""Sending in the states in which `StreamTransport.send` cannot pass the bytes to the kernel at once."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import as_bytes
from reactorhost.worker.stream.closing import OPEN, CloseEvent
from reactorhost.worker.stream.file_part import FilePart, FilePartError
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.receiving import release, watch
from reactorhost.worker.stream.send_buffer import LOW_WATER, SendBuffer
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.states import BROKEN, CORKED, DIRECT, FIN_PENDING, FIN_SENT, QUEUED, SEND_FULL

_CORKED_BYTES = 16 * 1024


def send_slow(stream: Stream, data: bytes | bytearray | memoryview) -> bool:
    """Send in a state other than DIRECT, or what is not `bytes`."""
    corked = stream.corked
    if corked is not None and type(data) is bytes:
        if len(data) <= _CORKED_BYTES:
            corked += data
            # More than that is sent now, and the next piece begins empty.
            return len(corked) <= _CORKED_BYTES or cork(stream)
        # As it is, not copied behind what is little.
        uncork(stream)
        accepted = stream.send(data)
        cork(stream)
        return accepted
    if stream.send_state >= FIN_PENDING:
        return False
    if type(data) is not bytes:
        return stream.send(as_bytes("send", data))
    return enqueue(stream, data, 0)


def cork(stream: Stream) -> bool:
    """Send what is corked, and cork what is sent from now on, unless something waits for the kernel anyway.

    Returns False once the connection is not open.
    """
    uncork(stream)
    if not stream.send_state:
        stream.corked = bytearray()
        stream.send_state = CORKED
    return stream.close_state is OPEN


def uncork(stream: Stream) -> None:
    """Send what is corked, and from now on everything at once."""
    corked, stream.corked = stream.corked, None
    if corked is not None:
        stream.send_state = DIRECT
        if corked:
            stream.send(bytes(corked))


def enqueue(stream: Stream, data: bytes, start: int) -> bool:
    """Queue `data[start:]` until the kernel has room; returns False if too much waits already."""
    buffer = stream.buffer
    if buffer is None:
        buffer = stream.buffer = SendBuffer()
        stream.send_state = QUEUED
    # Before anything is added: one answer above the limit is sent, another one behind it is too much.
    elif buffer.memory_bytes > stream.context.limits.max_send_buffer:
        stream.context.overflowed(stream.connection)
        stream.advance(CloseEvent.ABORT, CloseReason.OVERFLOW)
        return False
    buffer.add(data, start)
    _queued(stream, buffer)
    return True


def _queued(stream: Stream, buffer: SendBuffer) -> None:
    # A protocol of asyncio has a flow control of its own, and may have to read before its client does.
    if buffer.is_full and not stream.full_duplex and stream.context.protocols is None:
        # Not by `hold`: the registration below adds WRITE too, in the same system call.
        stream.held |= SEND_FULL
    watch(stream)


def when_drained(stream: Stream, function: Callable[[bool], object]) -> None:
    """Call `function(True)` once few bytes are queued, or `function(False)` when nothing can be sent any more."""
    if stream.buffer is None or len(stream.buffer) <= LOW_WATER:
        function(stream.send_state is not BROKEN)
    else:
        stream.buffer.when_low(function)


def set_full_duplex(stream: Stream, wanted: bool) -> None:
    """Set whether the client is read although much is queued for it."""
    stream.full_duplex = wanted
    if wanted:
        release(stream, SEND_FULL)


def send_part(stream: Stream, part: FilePart) -> None:
    """Pass a part of a file to the kernel, and queue what it does not accept."""
    buffer = stream.buffer
    if stream.send_state >= FIN_PENDING:
        part.end(is_sent=False)
        return
    try:
        # Small files need no duplicate of the descriptor: two system calls less.
        if buffer is None and part.left:
            with contextlib.suppress(BlockingIOError):
                _count(stream, part.send(stream.socket))
        if not part.left and buffer is None:
            part.end(is_sent=True)
            return
        part.keep()
    except FilePartError as error:
        part.end(is_sent=False)
        file_failed(stream, error)
        return
    except OSError:
        part.end(is_sent=False)
        stream.send_failed()
        return
    if buffer is None:
        buffer = stream.buffer = SendBuffer()
        stream.send_state = QUEUED
    buffer.add_file(part)
    _queued(stream, buffer)


def flush(stream: Stream) -> None:
    """Send from the buffer, when the kernel has room."""
    buffer = stream.buffer
    if buffer is None:
        return
    try:
        send_first(stream, buffer, stream.socket)
    except BlockingIOError:
        return
    except FilePartError as error:
        file_failed(stream, error)
        return
    except OSError:
        stream.send_failed()
        return
    if not buffer:
        stream.buffer = None
        _all_sent(stream)
    if not buffer.is_full:
        release(stream, SEND_FULL)
    watch(stream)


def send_first(stream: Stream, buffer: SendBuffer, sock: StreamSocket) -> None:
    """Pass the first bytes of a buffer to a socket of this connection.

    Raises:
        BlockingIOError: the kernel accepts nothing now.
        FilePartError: a file cannot be read.
        OSError: the connection failed.
    """
    part = buffer.first_file()
    if part is not None:
        sent = part.send(sock)
    else:
        # Released before `drop`: a bytearray cannot shrink while a view of it exists.
        with buffer.first() as first:
            sent = sock.send(first)
    _count(stream, sent)
    buffer.drop(sent)


def file_failed(stream: Stream, error: FilePartError) -> None:
    """Reset a connection whose file cannot be sent to its end, and report that."""
    # Reset first: a FIN would say that the client has everything.
    stream.advance(CloseEvent.ABORT, CloseReason.ERROR)
    stream.context.hook_failed(error.plugin, "send_file", stream.connection, error)


def _count(stream: Stream, sent: int) -> None:
    stream.connection.bytes_out += sent
    stream.context.counters.bytes_out += sent
    stream.active_at = stream.context.reactor.now


def _all_sent(stream: Stream) -> None:
    if stream.send_state is QUEUED:
        stream.send_state = DIRECT
    elif stream.close_state is OPEN:
        send_fin(stream)
    else:
        stream.advance(CloseEvent.ALL_SENT)
    stream.end_if_served()


def discard(stream: Stream) -> None:
    """Drop what waits for the kernel."""
    stream.corked = None
    buffer, stream.buffer = stream.buffer, None
    if stream.send_state < FIN_PENDING:
        stream.send_state = DIRECT
    elif stream.send_state is FIN_PENDING:
        _all_sent(stream)
    release(stream, SEND_FULL)
    watch(stream)
    if buffer is not None:
        buffer.abandon()


def end_session(stream: Stream, reason: CloseReason) -> None:
    """Send the last message of a framing that is a session."""
    if isinstance(stream.receiver, FramedInput):
        stream.receiver.closing(reason)


def finish(stream: Stream) -> None:
    """Send a FIN behind everything that waits."""
    end_session(stream, CloseReason.LOCAL)
    uncork(stream)
    if stream.send_state < FIN_PENDING:
        stream.send_state = FIN_PENDING
        if stream.buffer is None:
            send_fin(stream)


def send_fin(stream: Stream) -> None:
    """Close our half; again, it does nothing."""
    if stream.send_state >= FIN_SENT:
        return
    stream.send_state = FIN_SENT
    try:
        stream.socket.shutdown(socket.SHUT_WR)
    except OSError:
        stream.send_failed()
