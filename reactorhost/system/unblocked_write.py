"""Write to a pipe or a terminal whose reader may have stopped reading."""

from __future__ import annotations

import os
import select


def write_without_waiting(descriptor: int, data: bytes) -> None:
    """Write what fits without waiting, and drop the rest.

    poll() reports a pipe as writable if it has room for PIPE_BUF bytes, so a write of that size does not block. The
    descriptor cannot be made non-blocking instead: that is a property of the open file, which other programs share.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    for start in range(0, len(data), select.PIPE_BUF):
        if not poll.poll(0):
            return
        os.write(descriptor, data[start : start + select.PIPE_BUF])
