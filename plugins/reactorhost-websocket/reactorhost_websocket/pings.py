"""Pings: they keep an idle connection open in proxies, and detect clients that have disappeared."""

from __future__ import annotations

from reactorhost import Connection
from reactorhost_websocket.control import close
from reactorhost_websocket.messages import Ping
from reactorhost_websocket.parameters import Parameters

_NO_ANSWER = 1011


def start(connection: Connection, parameters: Parameters) -> None:
    """Ping a client at intervals until its connection ends."""
    if parameters.ping_interval:
        connection.call_later(parameters.ping_interval, _ping, connection, parameters)


def _ping(connection: Connection, parameters: Parameters) -> None:
    connection.send(Ping())
    if parameters.ping_timeout:
        seen = (connection.bytes_in, connection.bytes_out)
        connection.call_later(parameters.ping_timeout, _check, connection, parameters, *seen)
    else:
        start(connection, parameters)


def _check(connection: Connection, parameters: Parameters, bytes_in: int, bytes_out: int) -> None:
    # Any byte is an answer, not only a pong, which may wait behind a long message. So is progress with what is queued:
    # then the client reads. Without a queue, bytes_out shows nothing: the kernel accepts bytes for any client.
    if connection.bytes_in == bytes_in and not (connection.queued and connection.bytes_out > bytes_out):
        close(connection, _NO_ANSWER, "no answer to a ping")
    else:
        rest = max(0.0, parameters.ping_interval - parameters.ping_timeout)
        connection.call_later(rest, _ping, connection, parameters)
