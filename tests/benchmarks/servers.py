"""Server processes: start, port, end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
PEERS = Path(__file__).parent / "peers"
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class ServerError(Exception):
    """A server did not start, ended, or did not serve."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its port, and the process at the top of its tree."""

    port: int
    pid: int


@contextlib.contextmanager
def printed_port(command: Sequence[str | Path]) -> Iterator[Server]:
    """Run a server that prints its port."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            port = process.stdout.readline()
            if not port:
                raise ServerError(f"{' '.join(map(str, command))} does not start")
            yield Server(int(port), process.pid)
        finally:
            process.kill()


def program(name: str, *arguments: str | Path) -> contextlib.AbstractContextManager[Server]:
    """Run one of the Python programs in `peers`."""
    return printed_port([sys.executable, PEERS / name, *arguments])


@contextlib.contextmanager
def given_port(command: Sequence[str | Path], port: int, environment: dict[str, str]) -> Iterator[Server]:
    """Run a server with a given port, and wait until it answers there."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, start_new_session=True) as process:
        try:
            _wait_for(port, process)
            yield Server(port, process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            # Workers too: gunicorn's sometimes hang at their end, and outlive their master.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(int(_START_SECONDS * 20)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise ServerError(f"the server ended with status {process.wait(0.05)}")
    raise ServerError(f"no server listens on port {port}")


@contextlib.contextmanager
def installed_host(
    folder: Path, plugins: Sequence[str | Path] = ("echo",), settings: Sequence[str | Path] = (), programs: Path = BIN
) -> Iterator[Server]:
    """Run an installed host with one worker; `programs` is the folder of its command."""
    run_dir = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    place = ["--run-dir", str(run_dir)]
    chain = [word for plugin in plugins for word in ("--plugin", str(plugin))]
    listen = ["--workers", "1", "--listen", "tcp://127.0.0.1:0"]
    reactorhost("start", "-d", *chain, *listen, *map(str, settings), *place, programs=programs)
    try:
        status = reactorhost("status", "--json", *place, programs=programs)
        listening = re.search(r"t(?:cp|ls)://127\.0\.0\.1:(\d+)", status)
        if not listening:
            raise ServerError("reactorhost status --json has no address")
        yield Server(int(listening[1]), int((run_dir / "master.pid").read_text().split()[0]))
    finally:
        with contextlib.suppress(ServerError):
            reactorhost("stop", "--now", *place, programs=programs)


def reactorhost(*arguments: str, programs: Path = BIN) -> str:
    """Run a command of an installed host, and return its output."""
    command = [str(programs / "reactorhost"), *arguments]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        printed = done.stdout.strip().splitlines() or ["nothing"]
        raise ServerError(f"reactorhost {arguments[0]} ended with status {done.returncode}: {printed[0]}")
    return done.stdout
