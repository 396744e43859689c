"""The hooks: the framing by its name and as the one of a service, pings, and the end of a worker."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus

from websockets.frames import CloseCode

from reactorhost import Connection, hookimpl
from reactorhost.framing import Framing
from reactorhost_websocket import pings
from reactorhost_websocket.parameters import Parameters
from reactorhost_websocket.session import WebSocket


@functools.wraps(Parameters)
def _websocket(**parameters: object) -> WebSocket:
    # Typed by `Parameters`, whose signature this has: the host checks the names in the operator's table against it.
    return WebSocket(Parameters(**parameters))  # type: ignore[arg-type]


@hookimpl
def framings() -> Mapping[str, Callable[..., Framing]]:
    """Bring the framing that an operator chooses as `websocket`."""
    return {"websocket": _websocket}


@hookimpl(tryfirst=True)
def framing(service: str) -> Framing:
    """Speak WebSocket on every service that has this plugin, whatever the framing of its other plugins is."""
    return WebSocket()


@hookimpl
def connect(connection: Connection) -> None:
    """Begin to ping a client."""
    session = connection.framing
    if isinstance(session, WebSocket):
        pings.start(connection, session)


@hookimpl(wrapper=True)
def drain(connection: Connection) -> Generator[None, None, None]:
    """Close the connection when the other plugins have finished with it, so that the client connects again."""
    session = connection.framing
    if not isinstance(session, WebSocket):
        yield
        return
    # For a plugin that closes by itself too.
    session.end_with(CloseCode.SERVICE_RESTART, "restart")
    session.refuse_with(HTTPStatus.SERVICE_UNAVAILABLE, "The server restarts. Please try again.")
    yield
    connection.close()
