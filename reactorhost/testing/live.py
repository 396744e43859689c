"""A real host for tests, on a free port, used only from outside. Every wait has a deadline."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient

DEADLINE_SECONDS = 30.0
"""The longest wait of anything here, for busy machines."""


class HostFailedError(Exception):
    """The host ended before it was ready; `status` is its exit status, `text` its output."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"exit status {status}\n{text}")
        self.status = status
        self.text = text


class LiveHost:
    """A host in the foreground, in its own process and run directory.

    Attributes:
        run_dir: its run directory.
        log_path: the file of its log and standard error.
        banner: the lines that it printed once it was ready.
    """

    def __init__(self, directory: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.run_dir = directory / "run"
        self.log_path = directory / "log"
        self.banner: list[str] = []
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._passed_descriptors: Sequence[int] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.end()

    def start(self) -> None:
        """Start the host, and return when its workers are ready.

        Raises:
            HostFailedError: it ended before they were.
        """
        __tracebackhide__ = True
        names_address = any(word in self._arguments for word in ("--listen", "--config"))
        listen = () if names_address else ("--listen", "tcp://127.0.0.1:0")
        command = self._command("start", *listen, *self._arguments)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                pass_fds=self._passed_descriptors,
            )
        self.banner = []
        try:
            # The last line of the banner, which the host prints when every worker is ready.
            while not self.banner or not self.banner[-1].startswith("  stop "):
                self.banner.append(self.read_line())
        except EOFError:
            raise HostFailedError(self.wait(), self.log()) from None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The master process."""
        assert self._process is not None, "the host was not started"
        return self._process

    @property
    def pid(self) -> int:
        """The master's process id."""
        return self.process.pid

    def address(self, service: str | None = None) -> tuple[str, int]:
        """Return host and port of the first TCP address of a service, by default the first service."""
        for each in self.status()["services"]:
            if service in (None, each["name"]):
                host, _, port = each["addresses"][0].partition("://")[2].rpartition(":")
                return host.strip("[]"), int(port)
        raise AssertionError(f"no service {service!r}")

    def connect(self, service: str | None = None) -> socket.socket:
        """Return the socket of a connected client, with a timeout."""
        return socket.create_connection(self.address(service), timeout=DEADLINE_SECONDS)

    def status(self) -> dict[str, Any]:
        """Return the status document."""
        return self.ask("status")["document"]  # type: ignore[no-any-return]  # JSON

    def ask(self, verb: str, **fields: object) -> dict[str, Any]:
        """Send a verb to the control socket, and return the message that ends its answer.

        Raises:
            ConnectionError: the host ended before it answered.
        """
        with ControlClient(self.run_dir / CONTROL_SOCKET, DEADLINE_SECONDS) as client:
            *_, reply = client.replies(verb, **fields)
        return reply

    def until(self, holds: Callable[[dict[str, Any]], object], what: str = "the expected status") -> dict[str, Any]:
        """Request the status until `holds` is true for it; returns that document."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            document = self.status()
            if holds(document):
                return document
            # The host does not report each change of its status, so this polls.
            select.select((), (), (), 0.02)
        raise TimeoutError(f"{what} did not come\n{json.dumps(document, indent=1)}\n{self.log()}")

    def workers(self, state: str = "ready") -> list[dict[str, Any]]:
        """Return the workers in a state, by slot."""
        return [worker for worker in self.status()["workers"] if worker["state"] == state]

    def command(self, *arguments: str, timeout: float = DEADLINE_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run `reactorhost ARGUMENTS` for this host."""
        command = self._command(*arguments)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=self._environment
        )

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "reactorhost", *arguments, "--run-dir", str(self.run_dir)]

    def signal(self, number: signal.Signals) -> None:
        """Send the master a signal."""
        self.process.send_signal(number)

    def log(self) -> str:
        """Return the log so far."""
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, text: str, count: int = 1) -> str:
        """Wait until the log has a text `count` times; returns the log."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            log = self.log()
            if log.count(text) >= count:
                return log
            select.select((), (), (), 0.02)
        raise TimeoutError(f"{text!r} did not come {count} times\n{self.log()}")

    def read_line(self) -> str:
        """Return the next line of the standard output of the host and its workers.

        Raises:
            EOFError: all of them have closed it.
            TimeoutError: there was none before the deadline.
        """
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self.process.stdout], (), (), max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no line on standard output\n{self.log()}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise EOFError
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def wait(self) -> int:
        """Wait until the master has ended, and return its exit status."""
        return self.process.wait(DEADLINE_SECONDS)

    def stop(self) -> int:
        """Send INT, as Ctrl-C does, and return the exit status."""
        self.signal(signal.SIGINT)
        return self.wait()

    def end(self) -> None:
        """Stop the host at once, if it still runs."""
        if self._process is None:
            return
        if self._process.poll() is None:
            # A test may have stopped it, and a stopped process handles no signal but CONT and KILL.
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGQUIT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
