"""A protocol whose header is a type (one byte) and the total length (two bytes)."""

from reactorhost import LengthPrefixed, hookimpl

PING, PONG = b"\x01", b"\x02"


@hookimpl
def framing(service):
    return LengthPrefixed(">H", offset=1, inclusive=True)


@hookimpl
def receive(connection, data):
    kind, payload = data[:1], data[1:]
    if kind == PING:
        connection.send_message(PONG + payload)
