"""Clients that are connected and send nothing; a process of their own has them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from process_tree import descriptors
from servers import Server, ServerError

_PROGRAM = Path(__file__).parent / "loads" / "idle.py"
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class IdleClients:
    """Clients of one server."""

    process: subprocess.Popen[str]

    def expect(self, word: str) -> None:
        """Wait until the process has said this."""
        assert self.process.stdout
        if self.process.stdout.readline().strip() != word:
            raise ServerError(f"idle clients were not {word}")


@contextlib.contextmanager
def idle_clients(server: Server, count: int) -> Iterator[IdleClients]:
    """Keep so many clients connected; a process has descriptors for about 20,000.

    The server has accepted them all when the context begins, and closed them all when it has ended.
    """
    before = descriptors(server.pid)
    command = [sys.executable, str(_PROGRAM), str(server.port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        clients = IdleClients(process)
        try:
            clients.expect("connected")
            _until_descriptors(server, before + count, grown=True)
            yield clients
        finally:
            process.kill()
    _until_descriptors(server, before, grown=False)


def _until_descriptors(server: Server, count: int, *, grown: bool) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    # A few more than before is no client: some servers open one or two of their own on the way.
    while descriptors(server.pid) < count if grown else descriptors(server.pid) > count + 4:
        if time.monotonic() > deadline:
            raise ServerError("clients came or went, and the server did not follow")
        time.sleep(0.02)
