"""Idle clients, in a separate process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from process_tree import descriptors
from servers import Server, ServerError

_PROGRAM = Path(__file__).parent / "loads" / "idle.py"
_PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def idle_clients(server: Server, count: int) -> Iterator[None]:
    """Keep a number of accepted clients connected, with at most about 20,000 per process."""
    before = descriptors(server.pid)
    command = [sys.executable, str(_PROGRAM), str(server.port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            if process.stdout.readline() != "connected\n":
                raise ServerError(f"{count} idle clients could not connect")
            _until_accepted(server, before, count)
            yield
        finally:
            process.kill()


def _until_accepted(server: Server, before: int, count: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (accepted := descriptors(server.pid) - before) < count:
        if time.monotonic() > deadline:
            raise ServerError(f"{accepted} of {count} clients were accepted within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.02)
