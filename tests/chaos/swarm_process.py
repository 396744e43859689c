"""Start the swarm, order it about, and collect what it reports."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from reactorhost.testing import LiveHost

IN_FLIGHT = 40
PATIENCE_SECONDS = 40.0
"""Within this time every client must have ended; beyond it, it hangs."""

_PROGRAM = Path(__file__).with_name("swarm.py")


class SwarmProcess:
    """The process of the clients.

    Attributes:
        failures: the clients that failed, as reported and not yet judged.
        counts: what it has counted, as of the last pause.
        paused: whether it has ended its clients since the last order to pause.
        stopped: whether it has ended.
    """

    def __init__(self, host: LiveHost, folder: Path, authority: Path, seed: int) -> None:
        services = {each["name"]: each["addresses"] for each in host.status()["services"]}
        targets = [
            ("plain", _place(services["plain"][0]), False),
            ("unix", str(folder / "plain.sock"), False),
            ("tls", _place(services["tls"][0]), True),
            ("tasks", _place(services["tasks"][0]), False),
        ]
        self._task = {
            "targets": targets,
            "datagrams": _place(services["datagrams"][0]),
            "authority": str(authority),
            "seed": seed,
            "in_flight": IN_FLIGHT,
            "patience": PATIENCE_SECONDS,
        }
        self._unread = b""
        self.failures: list[dict[str, Any]] = []
        self.counts: dict[str, Any] = {}
        self.paused = False
        self.stopped = False

    def __enter__(self) -> Self:
        # -E: PYTHONSAFEPATH would hide the other modules of the program.
        command = [sys.executable, "-E", str(_PROGRAM), json.dumps(self._task)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *raised: object) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def order(self, name: str) -> None:
        """Send an order."""
        assert self._process.stdin is not None
        self.paused = False
        self._process.stdin.write(json.dumps({name: True}).encode() + b"\n")
        self._process.stdin.flush()

    def wait(self, seconds: float) -> None:
        """Wait for reports at most so long, and collect them.

        Raises:
            EOFError: the process has ended by itself.
        """
        assert self._process.stdout is not None
        if not select.select([] if self.stopped else [self._process.stdout], (), (), seconds)[0]:
            return
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        if not data:
            raise EOFError("the clients' process ended")
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            match json.loads(line):
                case {"failure": failure}:
                    self.failures.append(failure)
                case {"paused": counts}:
                    self.paused, self.counts = True, counts
                case {"stopped": counts}:
                    self.stopped, self.counts = True, counts


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.partition("://")[2].rpartition(":")
    return host, int(port)
