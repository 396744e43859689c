"""Files as the end of an answer: ASGI's `http.response.pathsend`, and `wsgi.file_wrapper`.

The bytes are sent by `connection.send_file`, in their order among what is written. A small file is read, and sent
together with the headers: that costs less.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from reactorhost_asgi.http_protocol import HttpProtocol
    from reactorhost_asgi.request_cycle import RequestCycle

PATH = "http.response.pathsend"
# The name of an ASGI extension, which is not announced: only the server's own WSGI sends it, then an empty part.
FILE = "http.response.zerocopysend"
MESSAGES = frozenset((PATH, FILE))

READ_BYTES = 65_536


async def send(cycle: RequestCycle, protocol: HttpProtocol, message: Any) -> None:
    """Send the file of a message; returns when the kernel has accepted all of it, or the client has left.

    Raises:
        RuntimeError: the file is shorter than the Content-Length.
        OSError: it cannot be opened.
        ValueError: it is not a regular file.
    """
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if message["type"] == FILE:
        with message["file"] as file:
            await _send_part(cycle, protocol, file, message["offset"], message["count"])
        return
    if cycle.sends_body:
        # A thread for it would cost more: the system has its inode as a rule, because applications look for the size.
        with open(message["path"], "rb", buffering=0, opener=_opened) as file:  # noqa: ASYNC230
            await _send_part(cycle, protocol, file, 0, os.fstat(file.fileno()).st_size)
    await cycle.send({"type": "http.response.body"})


def _opened(path: str, flags: int) -> int:
    # Opening a FIFO would block until it has a writer. For regular files the flag has no effect.
    return os.open(path, flags | os.O_NONBLOCK)


async def _send_part(cycle: RequestCycle, protocol: HttpProtocol, file: BinaryIO, offset: int, count: int) -> None:
    if not cycle.sends_body:
        return
    missing = cycle.missing
    if missing is not None:
        if count < missing:
            raise RuntimeError(f"the file has {count} bytes, but its Content-Length has announced {missing}")
        # A file that grows, as a log does, is sent as far as was announced.
        count = missing
    if count > READ_BYTES:
        await _send_large(cycle, protocol, file, offset, count)
    else:
        data = os.pread(file.fileno(), count, offset)
        await cycle.send({"type": "http.response.body", "body": data, "more_body": True})


async def _send_large(cycle: RequestCycle, protocol: HttpProtocol, file: BinaryIO, offset: int, count: int) -> None:
    connection = protocol.transport.get_extra_info("connection")
    writer = protocol.writer
    if cycle.chunked_encoding:
        writer.write(b"%x\r\n" % count)
    writer.flush()
    begin = connection.bytes_out + connection.queued
    sending = connection.send_file(file, offset, count)
    # All of it is queued and counted before anything is awaited: the application may be cancelled meanwhile.
    if cycle.chunked_encoding:
        writer.write(b"\r\n")
    else:
        cycle.expected_content_length -= count
    try:
        # If the client has left, the end of the answer is dropped.
        with suppress(ConnectionError):
            await sending
    finally:
        cycle.count_body(min(max(connection.bytes_out - begin, 0), count))
