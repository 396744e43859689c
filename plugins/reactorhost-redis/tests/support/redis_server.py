"""A real redis-server for tests, on a free port of this machine, without files."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import hiredis
import pytest

DEADLINE_SECONDS = 30.0
PROGRAM = shutil.which("redis-server")


def require_server() -> None:
    """Skip the test if there is no redis-server; in CI that has tried to install it, fail."""
    if PROGRAM is None:
        reason = "there is no redis-server: apt-get install redis-server"
        if os.environ.get("REQUIRE_REDIS"):
            pytest.fail(reason)
        pytest.skip(reason)


class RedisServer:
    """One server.

    Attributes:
        arguments: those of the program, from the next start on.
        port: its port, the same after a restart.
    """

    def __init__(self, *arguments: str, tls: bool = False) -> None:
        require_server()
        self.arguments = arguments
        self._tls = tls
        self._folder = tempfile.TemporaryDirectory(prefix="reactorhost-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        # Bound and not listening: the server can bind it too, since both set SO_REUSEADDR (socket(7)), and between two
        # starts the kernel gives the port to no other process, neither for listening nor for an outgoing connection.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port = self._reserved.getsockname()[1]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.kill()
        self._reserved.close()
        self._folder.cleanup()

    @property
    def running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    @property
    def url(self) -> str:
        """The URL without a password."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """A folder for this server."""
        return Path(self._folder.name)

    def start(self) -> None:
        """Start it, and return when it answers."""
        assert PROGRAM is not None
        ports = ("--port", "0", "--tls-port", str(self.port)) if self._tls else ("--port", str(self.port))
        place = (*ports, "--bind", "127.0.0.1", "--dir", self._folder.name)
        command = [PROGRAM, *place, "--save", "", "--appendonly", "no", *self.arguments]
        log = self.folder / "log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + DEADLINE_SECONDS
        # The server reports its readiness in its log only, and a client sees it first.
        while b"Ready to accept connections" not in log.read_bytes()[before:]:
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            select.select((), (), (), 0.005)

    def kill(self) -> None:
        """Kill it; what it has stored is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_SECONDS)
            self._process = None

    def restart(self) -> None:
        """Kill it, and start another one on the same port."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop the process, as a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str | int | bytes, password: str | None = None) -> Any:
        """Run one command, and return its answer; raises an error of the server."""
        reader = hiredis.Reader()
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_SECONDS) as client:
            logins = [("AUTH", password)] if password else []
            for each in (*logins, words):
                client.sendall(hiredis.pack_command(each))  # type: ignore[arg-type]
                while (answer := reader.gets()) is False:
                    reader.feed(client.recv(1 << 20))
                if isinstance(answer, hiredis.ReplyError):
                    raise answer
        return answer
