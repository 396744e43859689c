"""The applications of the web figures: bare ASGI and WSGI, Starlette, Flask, and WebSocket, each for every server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

BODY = b"Hello, world!"
_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]
_members: set[Callable[[dict[str, Any]], Awaitable[None]]] = set()


async def asgi(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    """Answer every request; echo on a WebSocket, and on one at `/room` send to all that are connected there."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": BODY})
    elif scope["type"] == "websocket":
        await _websocket(scope["path"] == "/room", receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)


async def _websocket(is_room: bool, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    _members.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message = {"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")}
            if is_room:
                for member in list(_members):
                    await member(message)
            else:
                await send(message)
    finally:
        _members.discard(send)


async def lifespan(receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    """Complete the start and the stop of the application."""
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


def wsgi(_environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer every request."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]


def starlette() -> Any:
    """Return a Starlette application with one route."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(_request: Any) -> PlainTextResponse:
        return PlainTextResponse(BODY)

    return Starlette(routes=[Route("/", hello)])


def flask() -> Any:
    """Return a Flask application with one route."""
    from flask import Flask

    application = Flask("web_apps")

    @application.route("/")
    def hello() -> bytes:
        return BODY

    return application
