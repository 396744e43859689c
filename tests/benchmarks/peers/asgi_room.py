"""ASGI applications for WebSocket: `echo` sends each message back, `broadcast` sends it to all clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

room: set[Send] = set()


async def echo(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve one client."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def broadcast(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve one client of the room."""
    await receive()
    await send({"type": "websocket.accept"})
    room.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            for member in room:
                await member({"type": "websocket.send", "text": event["text"]})
    finally:
        room.discard(send)
