"""A stand-in for systemd: it receives notifications, and passes sockets to a host."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from reactorhost.testing import DEADLINE_SECONDS, LiveHost


class ServiceManager:
    """Receives notifications on a unix socket, and keeps the descriptors that come with them.

    Attributes:
        received: the lines of every notification so far.
        stored: the descriptors of its store, by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.received: list[dict[str, str]] = []
        self.stored: dict[str, list[int]] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables for the host."""
        return {"NOTIFY_SOCKET": str(self.path)}

    def close(self) -> None:
        """Close the socket and what is stored."""
        self._socket.close()
        for descriptors in self.stored.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self.stored.clear()

    def until(self, holds: Callable[[dict[str, str]], object], what: str) -> dict[str, str]:
        """Return the first notification, received from now on, for which `holds` is true."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                fields = self._receive()
            except TimeoutError:
                break
            if holds(fields):
                return fields
        raise TimeoutError(f"{what} did not come: {self.received}")

    def until_key(self, key: str, value: str | None = None) -> dict[str, str]:
        """Return the first notification, received from now on, that has a key, with a value if it is given."""
        return self.until(lambda fields: key in fields and value in (None, fields[key]), f"{key}={value}")

    def keys(self) -> list[str]:
        """Return the keys of everything received so far that reports a phase, in order."""
        return [key for fields in self.received for key in fields if key in ("READY", "RELOADING", "STOPPING")]

    def _receive(self) -> dict[str, str]:
        data, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 256)
        fields = dict(line.split("=", 1) for line in data.decode().splitlines())
        self.received.append(fields)
        if fields.get("FDSTORE") == "1":
            self.stored.setdefault(fields["FDNAME"], []).extend(descriptors)
        elif fields.get("FDSTOREREMOVE") == "1":
            descriptors = [*descriptors, *self.stored.pop(fields["FDNAME"], ())]
            for descriptor in descriptors:
                os.close(descriptor)
        return fields


class ActivatedHost(LiveHost):
    """A host that is passed sockets, as by systemd: `passed` are descriptors of this process and their names."""

    def __init__(
        self,
        directory: Path,
        passed: Sequence[tuple[int, str]],
        *arguments: str,
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(directory, *arguments, environment=environment)
        self._passed_descriptors = [descriptor for descriptor, _ in passed]
        self._names = ":".join(name for _, name in passed)

    def _command(self, *arguments: str) -> list[str]:
        command = super()._command(*arguments)
        if arguments[0] != "start":
            return command
        descriptors = ",".join(map(str, self._passed_descriptors))
        return [sys.executable, __file__, descriptors, self._names, *command]


def execute(descriptors: Sequence[int], names: str, command: list[str]) -> None:
    """Run a program in this process, with these descriptors from 3 on."""
    # First to numbers that none of them has.
    high = [os.dup2(descriptor, 100 + index) for index, descriptor in enumerate(descriptors)]
    for index, descriptor in enumerate(high):
        os.dup2(descriptor, 3 + index)
        os.close(descriptor)
    os.closerange(3 + len(high), 100)
    variables = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": names}
    os.execve(command[0], command, {**os.environ, **variables})


if __name__ == "__main__":
    execute([int(word) for word in sys.argv[1].split(",") if word], sys.argv[2], sys.argv[3:])
