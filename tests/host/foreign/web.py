"""A web server: aiohttp's protocol, with a WebSocket."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import WSMsgType, web
from aiohttp.web_protocol import RequestHandler

from reactorhost import Worker, hookimpl


async def hello(request: web.Request) -> web.Response:
    """Answer with what the request has."""
    body = await request.read()
    return web.json_response({"path": request.path, "remote": request.remote, "bytes": len(body)})


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Echo the messages of a WebSocket."""
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for message in answer:
        if message.type == WSMsgType.TEXT:
            await answer.send_str(message.data)
    return answer


class Web:
    """Serves an aiohttp application."""

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        application = web.Application()
        application.add_routes([web.get("/echo", echo), web.route("*", "/{path:.*}", hello)])
        self._runner = web.AppRunner(application)
        await self._runner.setup()

    @hookimpl
    async def worker_stop(self, worker: Worker) -> None:
        await self._runner.cleanup()

    @hookimpl
    def protocol(self, service: str) -> Callable[[], RequestHandler]:
        def connected() -> RequestHandler:
            server = self._runner.server
            assert server is not None
            return server()

        return connected
