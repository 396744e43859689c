"""A site on Starlette."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


async def hello(request):
    return PlainTextResponse(f"hello {request.query_params['name']}")


async def upload(request):
    async with request.form() as form:
        size = 0
        while part := await form["file"].read(65536):
            size += len(part)
        return PlainTextResponse(f"{form['file'].filename} {size}")


async def stream(request):
    async def parts():
        for number in range(5):
            yield f"{number}\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(parts(), media_type="text/plain")


async def file(request):
    return FileResponse(request.query_params["path"])


async def talk(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())


app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
        Route("/file", file),
        WebSocketRoute("/talk", talk),
    ]
)
