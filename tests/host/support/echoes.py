"""Measure what an echo costs a server: CPU time of one process per message."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reactorhost.testing import DEADLINE_SECONDS

MESSAGE = b"x" * 63 + b"\n"
_BARE = Path(__file__).with_name("bare_echo.py")


@dataclass(frozen=True, slots=True)
class EchoServer:
    """An echo server and its clients.

    Attributes:
        pid: the process that does the work.
        clients: sockets that wait, with a deadline.
    """

    pid: int
    clients: Sequence[socket.socket]

    def nanoseconds_per_echo(self, times: int) -> float:
        """Echo one message per client, `rounds` times; return CPU seconds per message."""
        before = cpu_nanoseconds(self.pid)
        for _ in range(times):
            for client in self.clients:
                client.send(MESSAGE)
            for client in self.clients:
                assert client.recv(len(MESSAGE), socket.MSG_WAITALL) == MESSAGE
        return (cpu_nanoseconds(self.pid) - before) / (times * len(self.clients))


def cpu_nanoseconds(pid: int) -> int:
    """Wait until a process sleeps, and return the CPU time of its first thread.

    What the kernel adds up at every switch, and not the hundredths of a second of `/proc/PID/stat`.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    # The answer arrives before the turn that sent it ends, and the kernel does not update the time of a running thread.
    while not _sleeps(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not come to rest")
        os.sched_yield()
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@contextmanager
def on_one_processor(*servers: EchoServer) -> Iterator[None]:
    """Pin servers and clients to one processor.

    So a server runs when its clients wait, and has as much to do a turn as any other, however busy the machine is.
    """
    allowed = os.sched_getaffinity(0)
    processor = {max(allowed)}
    for server in servers:
        os.sched_setaffinity(server.pid, processor)
    os.sched_setaffinity(0, processor)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def connected(address: tuple[str, int], pid: int, clients: int) -> Iterator[EchoServer]:
    """Connect clients to a server."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address, DEADLINE_SECONDS)) for _ in range(clients)]
        yield EchoServer(pid, sockets)


@contextmanager
def bare_loop(clients: int) -> Iterator[EchoServer]:
    """Run the bare loop with clients."""
    with subprocess.Popen([sys.executable, "-I", str(_BARE)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            with connected(("127.0.0.1", int(process.stdout.readline())), process.pid, clients) as server:
                yield server
        finally:
            process.kill()
