"""`loop.sendfile` for the adapter's transports.

asyncio's own would read the file in threads of the loop and write the pieces, and uvloop has none. Here it is sent as
by `connection.send_file`, in its place among what is written. What is not a regular file is left to asyncio's fallback.
"""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Any

from reactorhost.worker.adapter.transport import AsyncioTransport


async def sendfile(
    loop: asyncio.AbstractEventLoop,
    transport: AsyncioTransport,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool = True,
) -> int:
    """See `loop.sendfile` of asyncio."""
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    size = _size(file)
    if size is None:
        if not fallback:
            raise RuntimeError(f"fallback is disabled, and {file!r} is not a regular file")
        base: Any = asyncio.BaseEventLoop
        # By its class: uvloop has none, and it needs only what every loop has.
        copied: int = await base._sendfile_fallback(loop, transport, file, offset, count)  # noqa: SLF001
        return copied
    # asyncio sends what there is, and a part that ends behind the file is no error.
    begin = min(offset, size)
    end = size if count is None else min(begin + count, size)
    sending = transport.stream.connection.send_file(file, begin, end - begin)
    transport._maybe_pause_protocol()  # noqa: SLF001  asyncio has no public name
    sent = await sending
    file.seek(begin + sent)
    return sent


def _size(file: Any) -> int | None:
    """Return the size of a regular file, or None for anything else."""
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
