"""The plugins that a host under chaos serves, and the ways in which their file is broken for a while."""

from __future__ import annotations

from pathlib import Path

PLAIN = """
import ctypes
import os
import signal
import time

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines()


@hookimpl
def connect(connection):
    connection.send_message(b"pid %d" % os.getpid())


@hookimpl
def receive(connection, data):
    match data.split():
        case [b"!block", seconds]:
            time.sleep(float(seconds))
        case [b"!exit", status]:
            os._exit(int(status))
        case [b"!fault"]:
            ctypes.string_at(0)
    connection.send_message(data)


@hookimpl
def drain(connection):
    connection.send_message(b"drain")
"""
"""An echo of lines that begins with the worker's pid, announces a drain, and blocks or crashes on request."""

ASYNC = """
import asyncio
import os

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines()


@hookimpl
async def connect(connection):
    connection.send_message(b"pid %d" % os.getpid())


@hookimpl
async def receive(connection, data):
    await asyncio.sleep(0)
    connection.send_message(data)


@hookimpl
async def drain(connection):
    connection.send_message(b"drain")
"""

DATAGRAMS = """
from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    connection.send(data)
"""

SOURCES = {"plain": PLAIN, "tasks": ASYNC, "datagrams": DATAGRAMS}

BROKEN = (
    "this is not Python",
    "raise RuntimeError('broken on purpose')",
    "import os\nos._exit(9)",
    "import os\nos.kill(os.getpid(), 9)",
    "import no_such_module_anywhere",
)
"""Contents of a plugin file with which no worker boots."""


def write_sources(folder: Path) -> None:
    """Write the plugins into a folder."""
    for name, source in SOURCES.items():
        (folder / f"{name}.py").write_text(source)


def configuration(folder: Path, certificate: tuple[Path, Path]) -> str:
    """Return the TOML of a host that serves them on every kind of address."""
    return f"""
[service.plain]
listen = ["tcp://127.0.0.1:0", "unix://{folder}/plain.sock"]
plugins = ["{folder}/plain.py"]

[service.tls]
listen = "tls://127.0.0.1:0"
certificate = "{certificate[0]}"
key = "{certificate[1]}"
plugins = ["{folder}/plain.py"]

[service.tasks]
listen = "tcp://127.0.0.1:0"
plugins = ["{folder}/tasks.py"]

[service.datagrams]
listen = "udp://127.0.0.1:0"
plugins = ["{folder}/datagrams.py"]
"""
