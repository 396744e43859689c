"""The guide's page on web applications: its examples on a real host."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from websockets.sync.client import connect

from clients import http_client
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "guide" / "asgi.md").read_text(encoding="utf-8")
EXAMPLES = DOCS / "examples"
NAMES = ("asgi_hello", "wsgi_hello", "asgi_notes", "asgi_devices", "asgi_sites")

Hosts = Callable[..., LiveHost]


def get(address: tuple[str, int], method: str = "GET", body: bytes | None = None, path: str = "/") -> tuple[int, bytes]:
    """Return status and body of an answer."""
    with http_client(address) as connection:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()


def test_the_examples_are_those_of_the_page() -> None:
    sources = [(EXAMPLES / f"{name}.py").read_text() for name in NAMES]
    assert re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) == sources


def test_a_note_reaches_the_browsers_of_every_worker(live_host: Hosts) -> None:
    settings = ("--set", "asgi.app=asgi_notes:app", "--set", f"asgi.app_dir={EXAMPLES}")
    host = live_host("--plugin", "asgi", *settings, "--workers", "2")
    with contextlib.ExitStack() as stack:
        streams: list[IO[bytes]] = []
        # Enough to have some in each worker.
        for _ in range(16):
            sock = stack.enter_context(host.connect())
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            stream: IO[bytes] = stack.enter_context(sock.makefile("rb"))
            read_until(stream, b": listening\n")
            streams.append(stream)
        host.until(lambda document: all(worker["connections"] for worker in document["workers"]), "clients everywhere")
        assert get(host.address(), "POST", b"hello") == (204, b"")
        for stream in streams:
            read_until(stream, b"data: hello\n")


def read_until(stream: IO[bytes], line: bytes) -> None:
    """Read up to a line."""
    while (read := stream.readline()) != line:
        assert read, f"no {line!r}"


def test_a_device_of_any_worker_is_reached(live_host: Hosts, tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (text,) = (block for block in blocks if "asgi_devices" in block)
    config = tmp_path / "host.toml"
    config.write_text(text.replace(":8000", ":0").replace(":9000", ":0"))
    host = live_host("--config", str(config), "--workers", "2", environment={"PYTHONPATH": str(EXAMPLES)})
    with contextlib.ExitStack() as stack:
        threads = ThreadPoolExecutor(8)
        stack.callback(threads.shutdown)
        # Enough to have some in each worker.
        for number in range(8):
            device = stack.enter_context(host.connect("devices"))
            device.sendall(b"device%d\n" % number)
            stack.callback(threads.submit(answer, device).result)
            stack.callback(device.shutdown, socket.SHUT_RDWR)
        for number in range(8):
            # Other workers know of a device a moment after it has sent its name.
            ended = time.monotonic() + DEADLINE_SECONDS
            while (got := get(host.address("admin"), "POST", b"status", f"/device{number}"))[0] != 200:
                assert time.monotonic() < ended, got
            assert got == (200, b"STATUS")
    assert get(host.address("admin"), "POST", b"status", "/none") == (404, b"not connected")


def answer(device: socket.socket) -> None:
    """Answer each line as a device does, until the end of the stream."""
    with device.makefile("rb") as lines:
        for line in lines:
            key, text = line.split()
            device.sendall(key + b" " + text.upper() + b"\n")


def test_two_applications_have_options_of_their_own(live_host: Hosts, tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    config = tmp_path / "host.toml"
    text = blocks[-1].replace(":8001", ":0").replace(":8002", ":0")
    config.write_text(text.replace('app = "', f'app_dir = "{EXAMPLES}"\napp = "'))
    host = live_host("--config", str(config), "--workers", "1", environment={"PYTHONPATH": str(EXAMPLES)})
    assert get(host.address("shop")) == (200, b"hello\n")
    assert get(host.address("blog")) == (200, b"hello\n")
    address, port = host.address("shop")
    with connect(f"ws://{address}:{port}/") as websocket:
        websocket.send("again")
        assert websocket.recv(DEADLINE_SECONDS) == "again"
