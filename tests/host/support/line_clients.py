"""Clients of a service of lines, and clients that are connected to different workers."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from typing import Self

from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

_MOST_ATTEMPTS = 200


class LineClient:
    """A client that sends and reads lines."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Its own address, as the host shows it."""
        return "{}:{}".format(*self._socket.getsockname())

    def send(self, line: str | bytes) -> None:
        """Send a line."""
        self._socket.sendall((line.encode() if isinstance(line, str) else line) + b"\n")

    def close(self) -> None:
        """Disconnect."""
        self._file.close()
        self._socket.close()

    def end(self) -> None:
        """Send the end of the stream."""
        self._socket.shutdown(socket.SHUT_WR)

    def readable(self, seconds: float) -> bool:
        """Return whether bytes arrive within some seconds; those that were received with the last line do not count."""
        return bool(select.select([self._socket], (), (), seconds)[0])

    def line(self) -> str:
        """Return the next line.

        Raises:
            EOFError: there is none, because the connection has ended.
        """
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError(f"the connection has ended, after {line!r}")
        return line.decode().removesuffix("\n")

    def until(self, text: str) -> list[str]:
        """Return the lines up to the first one that has a text in it.

        Raises:
            EOFError: the connection has ended before.
        """
        lines = [self.line()]
        while text not in lines[-1]:
            lines.append(self.line())
        return lines

    def request(self, line: str) -> str:
        """Send a line and return the next one that is received."""
        self.send(line)
        return self.line()


def on_each_worker(host: LiveHost, stack: ExitStack) -> list[LineClient]:
    """Connect until every ready worker has a client; return one for each, by slot, and close the others."""
    slots = {worker["pid"]: worker["slot"] for worker in host.workers()}
    found: dict[int, LineClient] = {}
    for _ in range(_MOST_ATTEMPTS):
        client = stack.enter_context(LineClient(host.connect()))
        # None: a worker of before a reload may accept for a moment after the new ones are ready.
        slot = slots.get(pid_of(host, client))
        if slot is None or slot in found:
            client.close()
            continue
        found[slot] = client
        if len(found) == len(slots):
            return [found[slot] for slot in sorted(found)]
    raise TimeoutError(f"{_MOST_ATTEMPTS} clients were not connected to {len(slots)} workers, but to {len(found)}")


def pid_of(host: LiveHost, client: LineClient) -> int:
    """Return the worker that serves a client, once it has accepted it."""
    with ControlClient(host.run_dir / CONTROL_SOCKET, DEADLINE_SECONDS) as control:
        while True:
            for message in control.replies("connections"):
                for row in message.get("rows", ()):
                    if row["peer"] == client.address:
                        pid: int = row["pid"]
                        return pid
