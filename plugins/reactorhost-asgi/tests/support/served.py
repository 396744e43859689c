"""An application of a test, served on a bench."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactorhost.testing import BenchClient, PluginBench
from reactorhost_asgi import Asgi

FOLDER = os.path.dirname(__file__)

app: Any = None
"""The application that the option `app` names."""


def served(plugin_bench: Callable[..., PluginBench], application: Any, **options: object) -> PluginBench:
    """Return a bench that serves an application."""
    global app  # noqa: PLW0603  imported by its name, as an operator's
    app = application
    return plugin_bench(Asgi(), options={"Asgi": {"app": "served:app", "app_dir": FOLDER, **options}})


@dataclass
class Answer:
    """One answer that a client has received."""

    status: int
    headers: dict[str, str]
    body: bytes


def answers(client: BenchClient, *, heads: bool = False) -> list[Answer]:
    """Return all answers that a client has received; with `heads` they have no bodies."""
    found = []
    rest = client.received
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        version, status, *_ = line.split(" ")
        assert version == "HTTP/1.1", client.received
        headers = dict(each.split(": ", 1) for each in lines)
        body = b""
        if status == "100" or heads:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            body, rest = _chunks(rest)
        elif "content-length" in headers:
            size = int(headers["content-length"])
            assert len(rest) >= size, f"incomplete: {rest!r}"
            body, rest = rest[:size], rest[size:]
        else:
            assert client.eof, f"no end: {rest!r}"
            body, rest = rest, b""
        found.append(Answer(int(status), headers, body))
    return found


def _chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        assert re.fullmatch(rb"[0-9a-f]+", size), f"incomplete: {rest!r}"
        count = int(size, 16)
        body += rest[:count]
        assert rest[count : count + 2] == b"\r\n"
        rest = rest[count + 2 :]
        if not count:
            return body, rest


def requested(bench: PluginBench, data: bytes, *more: bytes) -> list[Answer]:
    """Return the answers to what a new client has sent, in pieces."""
    client = bench.connect()
    for each in (data, *more):
        if client.closed is None and not client.eof:
            client.send(each)
    return answers(client)


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "host: example.org", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def post(body: bytes, *headers: str, path: str = "/") -> bytes:
    """Return a request with a body."""
    return get(path, f"content-length: {len(body)}", *headers, method="POST") + body


async def start(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """Begin an answer."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def body(send: Any, data: bytes = b"", *, more: bool = False) -> None:
    """Send a part of an answer."""
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path."""
    assert scope["type"] == "http"
    text = f"hello {scope['path']}".encode()
    await start(send, 200, (b"content-length", b"%d" % len(text)))
    await body(send, text)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body of the request."""
    assert scope["type"] == "http"
    data = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        data += message["body"]
        more = message["more_body"]
    await start(send, 200, (b"content-length", b"%d" % len(data)))
    await body(send, data)
