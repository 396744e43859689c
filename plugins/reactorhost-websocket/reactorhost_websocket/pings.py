"""Pings: they keep an idle connection open in proxies, and find clients that are gone without a word."""

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
    # Any byte is a sign of life, not only a pong: one may wait behind a long message. So is progress of what is queued;
    # without a queue the kernel accepts bytes for a client that is gone too.
    if connection.bytes_in == bytes_in and not (connection.queued and connection.bytes_out > bytes_out):
        close(connection, _NO_ANSWER, "no answer to a ping")
    else:
        rest = max(0.0, parameters.ping_interval - parameters.ping_timeout)
        connection.call_later(rest, _ping, connection, parameters)
