"""Several processes that share a port and a Redis server of their own, for the servers that use Redis as their bus."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from peer import BACKLOG, allow_many_clients, print_port

Serve = Callable[[int, socket.socket, str, Callable[[], object]], Awaitable[None]]
"""Serves as the worker of a number, from a listening socket, with a Redis URL; calls the last when it is ready."""

_PR_SET_PDEATHSIG = 1
_START_SECONDS = 20.0


def run(workers: int, place: str, serve: Serve) -> None:
    """Start Redis and the workers, print the port, and wait until killed; children end with this process."""
    allow_many_clients()
    path = start_redis(place)
    first = _listener(0)
    port = first.getsockname()[1]
    listeners = [first, *(_listener(port) for _ in range(workers - 1))]
    readable, writable = os.pipe()
    for number, listener in enumerate(listeners):
        if os.fork() == 0:
            end_with_parent()
            for other in listeners:
                if other is not listener:
                    other.close()
            asyncio.run(_served(serve, number, listener, f"unix://{path}", writable))
            os._exit(0)
    for _ in range(workers):
        os.read(readable, 1)
    for listener in listeners:
        listener.close()
    print_port(port)
    while True:
        signal.pause()


def start_redis(place: str) -> Path:
    """Start a Redis server that ends with this process, and return the path of its socket."""
    folder = tempfile.mkdtemp(prefix="redis-", dir=place)
    path = Path(folder) / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL, preexec_fn=end_with_parent)  # noqa: PLW1509  no thread runs
    until = time.monotonic() + _START_SECONDS
    while not path.exists():
        if time.monotonic() > until:
            sys.exit("redis-server does not start")
        time.sleep(0.01)
    return path


async def _served(serve: Serve, number: int, listener: socket.socket, url: str, ready: int) -> None:
    await serve(number, listener, url, lambda: os.write(ready, b"."))
    await asyncio.Event().wait()


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def end_with_parent() -> None:
    """Let the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
