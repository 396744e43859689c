"""Applications that answer with the process that serves: at `/slow` after 0.3 seconds, elsewhere at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from web_apps import lifespan

_SLOW_SECONDS = 0.3


async def asgi(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    """Answer every request."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(_SLOW_SECONDS)
    body = _body()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer every request."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(_SLOW_SECONDS)
    body = _body()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _body() -> bytes:
    # Read at each request: a server may import the application before it forks.
    return b"%d" % os.getpid()
