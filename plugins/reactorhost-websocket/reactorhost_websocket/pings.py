"""Pings: they keep an idle connection open in proxies, and detect clients that have disappeared."""

from __future__ import annotations

from reactorhost import Connection
from reactorhost_websocket.control import close
from reactorhost_websocket.messages import Ping
from reactorhost_websocket.session import WebSocket

_NO_ANSWER = 1011


def start(connection: Connection, session: WebSocket) -> None:
    """Ping a client at intervals until its connection ends."""
    if session.parameters.ping_interval:
        connection.call_later(session.parameters.ping_interval, _ping, connection, session)


def _ping(connection: Connection, session: WebSocket) -> None:
    connection.send(Ping())
    if session.parameters.ping_timeout:
        seen = (connection.bytes_in, connection.bytes_out)
        connection.call_later(session.parameters.ping_timeout, _check, connection, session, *seen)
    else:
        start(connection, session)


def _check(connection: Connection, session: WebSocket, bytes_in: int, bytes_out: int) -> None:
    # Any byte is an answer, not only a pong, which may wait behind a long message. So is progress with what is queued:
    # then the client reads. Without a queue, bytes_out shows nothing: the kernel accepts bytes for any client.
    answers = connection.bytes_in > bytes_in or (connection.queued and connection.bytes_out > bytes_out)
    # While a hook works on a message, the answer may wait in the kernel behind the next one.
    if answers or session.is_delivering:
        rest = session.parameters.ping_interval - session.parameters.ping_timeout
        connection.call_later(max(0.0, rest), _ping, connection, session)
    else:
        close(connection, _NO_ANSWER, "no answer to a ping")
