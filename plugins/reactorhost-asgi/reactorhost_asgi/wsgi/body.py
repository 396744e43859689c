"""Collect the body of a request: in memory, or in a temporary file when it is large."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any

from reactorhost import Worker

_MEMORY_BYTES = 1 << 20


async def collected(receive: Callable[[], Awaitable[Any]], worker: Worker) -> tuple[IO[bytes], int] | None:
    """Return the body and its length; None if the client has left before its end."""
    message = await receive()
    if message["type"] == "http.request" and not message["more_body"]:
        return io.BytesIO(message["body"]), len(message["body"])
    size = 0
    # Closed by the response; here when there is none.
    file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115
    while message["type"] == "http.request":
        body = message["body"]
        size += len(body)
        if size > _MEMORY_BYTES:
            # A disk may be slow.
            await worker.run_in_thread(file.write, body)
        else:
            file.write(body)
        if not message["more_body"]:
            file.seek(0)
            return file, size
        message = await receive()
    file.close()
    return None
