"""Find the client that code on a stack works for, in the frames of the worker that has called a plugin.

Nothing is stored when a hook is called: that would cost every message. The frames have it already, and are read only
when the code has held the loop for long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import FrameType

from reactorhost.api.connection import Connection

_WORKER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# What a frame that calls a plugin for one client has it in: the connection, or an object that has a connection or a
# stream.
_NAMES = ("connection", "self", "stream", "served")


def client_of(innermost: FrameType) -> Connection | None:
    """Return the connection that the code on a stack is called for; None of code that is called for no client."""
    # From the outermost frame: the hook of one client may use others.
    found = (_connection_in(frame) for frame in reversed(list(_frames(innermost))))
    return next((each for each in found if each is not None), None)


def _frames(innermost: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = innermost
    while frame is not None:
        yield frame
        frame = frame.f_back


def _connection_in(frame: FrameType) -> Connection | None:
    # Not in the frames of plugins: reading an attribute of their objects would run their code.
    if not frame.f_code.co_filename.startswith(_WORKER):
        return None
    variables = frame.f_locals
    for value in map(variables.get, _NAMES):
        stream = getattr(value, "stream", value)
        connection = getattr(stream, "connection", stream)
        if isinstance(connection, Connection):
            return connection
    return None
