"""What a plugin does with a WebSocket connection beside sending messages: refuse it, or end it with a code."""

from __future__ import annotations

from reactorhost import Connection
from reactorhost_websocket.session import WebSocket


def close(connection: Connection, code: int = 1000, reason: str = "") -> None:
    """Close a WebSocket connection with a code and a reason; the client gets them after what was sent before.

    In a `connect` hook the request is accepted for it.

    Raises:
        TypeError: the connection is not a WebSocket connection, or the reason is not a text.
        ValueError: the code is neither one that a server may send nor from 3000 to 4999, or the reason has more than
            123 bytes.
    """
    session = _session_of("close", connection)
    if session is not None:
        session.end_with(code, reason)
    connection.close()


def refuse(connection: Connection, status: int = 403, text: str = "The connection is refused.") -> None:
    """Answer the request of a client with an HTTP error, from a `connect` hook; a page of a browser sees no text.

    Raises:
        TypeError: the connection is not a WebSocket connection.
        ValueError: the status is not that of an error, 400 to 599.
        RuntimeError: the request was accepted already.
    """
    session = _session_of("refuse", connection)
    if session is not None:
        if session.is_accepted:
            raise RuntimeError("the request was accepted when connect returned; use close(connection, code, reason)")
        session.refuse_with(status, text)
    connection.close()


def _session_of(function: str, connection: Connection) -> WebSocket | None:
    framing = connection.framing
    # A connection that has ended has no framing any more.
    if framing is None or isinstance(framing, WebSocket):
        return framing
    raise TypeError(f"{function} needs a WebSocket connection, and this one has a {type(framing).__name__}")
