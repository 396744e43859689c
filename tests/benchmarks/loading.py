"""Loads: processes that work for a measured time. The server's processor time is read while they pause around it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler import compiled
from process_tree import cpu_seconds
from servers import Server, ServerError

_LOADS = Path(__file__).parent / "loads"
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Work:
    """The work of the measured time.

    Attributes:
        count: messages, or connections.
        server_seconds: processor time of the server's whole tree.
        reported: the other values that the load printed.
    """

    count: int
    server_seconds: float
    reported: tuple[float, ...] = ()

    @property
    def cpu_micros(self) -> float:
        """The server's processor time per message or connection, in microseconds."""
        return self.server_seconds / self.count * 1e6

    # The values that the C load prints, in order.

    @property
    def per_second(self) -> float:
        """Messages or connections per second."""
        return self.count / self.reported[0]

    @property
    def load_busy(self) -> float:
        """Share of the time in which the load was busy."""
        return self.reported[1] / self.reported[0]

    @property
    def server_busy(self) -> float:
        """Share of one processor that the server used."""
        return self.server_seconds / self.reported[0]

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Latencies of an open loop: p50, p99 and p99.9 in microseconds."""
        return self.reported[2:5]

    @property
    def late(self) -> float:
        """Lateness of the sends of an open loop, p99 in microseconds; part of the latencies."""
        return self.reported[5]


@dataclass(frozen=True, slots=True)
class Loader:
    """The load written in C, for clients of one machine."""

    program: Path
    warm_up: float
    seconds: float

    def exchange(self, server: Server, clients: int, size: int, window: int = 1, seconds: float | None = None) -> Work:
        """Keep a number of messages in flight on each client."""
        return self._run("exchange", server, self.seconds if seconds is None else seconds, clients, size, window)

    def connections(self, server: Server, at_once: int, size: int) -> Work:
        """Connect, exchange one message, half-close, wait for the server's end, close."""
        return self._run("connections", server, self.seconds, at_once, size)

    def open_loop(self, server: Server, clients: int, size: int, rate: float) -> Work:
        """Send messages at a fixed rate, independently of the server."""
        return self._run("open", server, self.seconds, clients, size, rate)

    def _run(self, mode: str, server: Server, seconds: float, *words: float) -> Work:
        return measured([self.program, mode, server.port, self.warm_up, seconds, *words], server)


def loader(folder: Path, warm_up: float, seconds: float) -> Loader:
    """Compile the load."""
    return Loader(compiled(folder, "load", *sorted(_LOADS.glob("*.c"))), warm_up, seconds)


def bus_program(folder: Path) -> Path:
    """Compile the load whose connections the caller makes."""
    shared = (_LOADS / "wire.c", _LOADS / "histogram.c")
    return compiled(folder, "bus_load", _LOADS / "bus" / "bus_load.c", *shared)


def call_program(folder: Path) -> Path:
    """Compile the load that makes calls on connections of the caller."""
    shared = (_LOADS / "wire.c", _LOADS / "histogram.c")
    return compiled(folder, "call_load", _LOADS / "calls" / "call_load.c", *shared)


def measured(command: Sequence[str | Path | float], server: Server, descriptors: Sequence[int] = ()) -> Work:
    """Run a load against a server, and return its work; the load inherits the descriptors.

    A load prints `begin` and `end COUNT …` around the measured time, and then waits for a line each time.

    Raises:
        ServerError: the server ended, or the load failed.
    """
    words = list(map(str, command))
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=descriptors
    ) as load:
        patience = threading.Timer(_PATIENCE_SECONDS, load.kill)
        patience.start()
        try:
            _expect(load, "begin")
            before = _cpu_seconds(server)
            _go_on(load)
            count, *reported = _expect(load, "end")
            spent = _cpu_seconds(server) - before
            _go_on(load)
        finally:
            patience.cancel()
            load.kill()
    if not int(count):
        raise ServerError("nothing was done in the measured time")
    return Work(int(count), spent, tuple(map(float, reported)))


def _expect(load: subprocess.Popen[str], word: str) -> list[str]:
    assert load.stdout
    line = load.stdout.readline()
    said, *rest = line.split() or [""]
    if said != word:
        raise ServerError(line.strip().removeprefix("failed: ") or "the load got no answer")
    return rest


def _go_on(load: subprocess.Popen[str]) -> None:
    assert load.stdin
    load.stdin.write("\n")
    load.stdin.flush()


def _cpu_seconds(server: Server) -> float:
    try:
        return cpu_seconds(server.pid)
    except ProcessLookupError:
        raise ServerError("the server has ended") from None
