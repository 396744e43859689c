"""The picture of the live view, from a frame of a real host under load: `top_pictures.py DIRECTORY`.

The host has eight slots. While it serves, one worker drains after it was recycled, and the worker of another slot
crashes and cannot start again, so that it is in back-off. Frames are drawn by the program's own code and exported by
rich.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import re
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from reactorhost.dashboard.live.frame import render
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.source import HostSource
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.text.line import Size, as_text
from reactorhost.testing import LiveHost

SIZE = Size(120, 40)
LOADERS = 2
CLIENTS = 150

# An echo with a worker that can be prevented from starting, and occasional failures.
PLUGIN = """
import os
from reactorhost import hookimpl

@hookimpl
def worker_start(worker):
    if worker.slot == 6 and os.path.exists({cause!r}):
        os._exit(3)

@hookimpl
def receive(connection, data):
    if data == b"fail":
        raise ValueError("no such room: lobby")
    connection.send(data)
"""

# The fonts that rich names would be downloaded; a viewer has its own monospace font.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def load(address: tuple[str, int], seconds: float, seed: int) -> None:
    """Send messages in waves, and replace a client occasionally or when its worker crashed."""
    chance = random.Random(seed)
    clients = [socket.create_connection(address) for _ in range(CLIENTS)]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for at in chance.sample(range(CLIENTS), 50):
            if not echoes(clients[at], b"x" * chance.randint(30, 1500)):
                clients[at] = socket.create_connection(address)
        if chance.random() < 0.2:
            clients.pop(0).close()
            clients.append(socket.create_connection(address))
        time.sleep(0.012 * max(0.0, 1.1 + math.sin(time.monotonic() / 9) + 0.3 * math.sin(time.monotonic() / 2)))


def echoes(client: socket.socket, data: bytes) -> bool:
    """Return whether a message is echoed."""
    try:
        client.sendall(data)
        return bool(client.recv(65536))
    except OSError:
        return False


@contextlib.contextmanager
def loaded(address: tuple[str, int], seconds: float) -> Iterator[None]:
    """Keep a load on an address while the context lasts."""
    context = get_context("fork")
    processes = [context.Process(target=load, args=(address, seconds, seed)) for seed in range(LOADERS)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def watched(host: LiveHost, seconds: float) -> Snapshot:
    """Watch a host for a time, as the program does, and return the last snapshot."""
    source = HostSource(host.run_dir / "control.sock", 1.0, time.monotonic())
    snapshot, ends = None, time.monotonic() + seconds
    try:
        while snapshot is None or time.monotonic() < ends:
            for document in source.advance(time.monotonic()):
                snapshot = following(snapshot, document)
            time.sleep(0.05)
    finally:
        source.close()
    return snapshot


def trouble(host: LiveHost, cause: Path) -> None:
    """Make a worker drain, another slot enter back-off, and a hook raise an exception."""
    with host.connect() as client:
        client.sendall(b"fail")
        client.recv(1)
    draining = host.workers()[2]["pid"]
    host.ask("recycle", pid=draining)
    cause.touch()
    os.kill(host.workers()[6]["pid"], signal.SIGSEGV)
    host.until(lambda status: (status["slots"][6]["retry_seconds"] or 0) > 3)


def export(snapshot: Snapshot, size: Size, path: Path) -> None:
    """Write one frame as a picture."""
    worker = snapshot.body["workers"][3]
    view = View(selected=worker["pid"] if size.rows >= 40 else None)
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=size.columns, record=True, file=nowhere, force_terminal=True, color_system="standard")
        for line in render(snapshot, view, size):
            console.print(as_text(line), no_wrap=True, crop=False)
        picture = console.export_svg(title="reactorhost top", code_format=FORMAT, unique_id=f"top{size.columns}")
    path.write_text(picture)


def main() -> None:
    """Start a host, load it, cause failures, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0, help="how long the load lasts before the pictures")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        cause, plugin = Path(place, "cause"), Path(place, "chat.py")
        plugin.write_text(PLUGIN.format(cause=str(cause)))
        options = ["--plugin", str(plugin), "--workers", "8", "--name", "chat"]
        with LiveHost(Path(place, "host"), *options) as host, loaded(host.address(), arguments.seconds + 120):
            watched(host, arguments.seconds)
            trouble(host, cause)
            snapshot = watched(host, 2.5)
            export(snapshot, SIZE, arguments.directory / f"top-{SIZE.columns}x{SIZE.rows}.svg")


if __name__ == "__main__":
    main()
