"""A site on FastAPI, with a lifespan and dependencies."""

from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, UploadFile, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse


@asynccontextmanager
async def lifespan(app):
    yield {"greeting": "hello"}


app = FastAPI(lifespan=lifespan)


async def name_of(name: str):
    return name


@app.get("/hello", response_class=PlainTextResponse)
def hello(name: str = Depends(name_of)):
    # Not async: FastAPI runs it in a thread of its own.
    return f"hello {name}"


@app.post("/upload", response_class=PlainTextResponse)
async def upload(file: UploadFile):
    return f"{file.filename} {len(await file.read())}"


@app.get("/stream")
async def stream():
    return StreamingResponse((f"{number}\n" for number in range(5)), media_type="text/plain")


@app.api_route("/file", methods=["GET", "HEAD"])
async def file(path: str):
    return FileResponse(path)


@app.websocket("/talk")
async def talk(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())
