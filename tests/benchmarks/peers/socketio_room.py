"""The room of `plugins/room.py` on python-socketio with Redis, over WebSocket."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import socketio
from aiohttp import web

from redis_workers import run


async def serve(number: int, listener: socket.socket, url: str, ready: Callable[[], object]) -> None:
    """Serve as one of the processes."""
    # Without pings: a client of the load answers none.
    server = socketio.AsyncServer(
        client_manager=socketio.AsyncRedisManager(url), async_mode="aiohttp", ping_interval=3600, ping_timeout=3600
    )

    async def connect(sid: str, environ: Any) -> None:
        await server.emit("worker", str(number), to=sid)

    async def join(sid: str, data: str) -> None:
        await server.enter_room(sid, "room")
        await server.emit("joined", "", to=sid)

    async def message(sid: str, data: str) -> None:
        await server.emit("m", data, room="room")

    for name, handler in (("connect", connect), ("J", join), ("M", message)):
        server.on(name, handler)
    application = web.Application()
    server.attach(application)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    ready()


if __name__ == "__main__":
    # At the end of a run Redis and the processes end together, and some of them log that Redis is gone.
    logging.disable()
    run(int(sys.argv[1]), sys.argv[2], serve)
