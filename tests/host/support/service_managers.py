"""A stand-in for the socket on which systemd receives notifications."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from reactorhost.testing import DEADLINE_SECONDS


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
