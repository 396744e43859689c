"""Requests on the control socket of a host under chaos, several at a time and without waiting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient
from reactorhost.testing import LiveHost

LOST = 98
"""The status of a request whose connection the host closed without a reply."""


@dataclass(slots=True)
class Request:
    """A request on the control socket that is not answered yet."""

    name: str
    client: ControlClient
    begun: float


class Requests:
    """Sends requests and collects replies.

    Attributes:
        replies: of the completed requests, name and last message.
    """

    def __init__(self, host: LiveHost) -> None:
        self.replies: list[tuple[str, dict[str, Any]]] = []
        self._path = host.run_dir / CONTROL_SOCKET
        self._requests: list[Request] = []

    def close(self) -> None:
        """Disconnect those that wait."""
        for request in self._requests:
            request.client.close()

    def send(self, verb: str, **fields: object) -> str:
        """Send a request, whose reply is read later; return in words what it was."""
        try:
            client = ControlClient(self._path, 0.0)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError) as error:
            return f"{verb}: {type(error).__name__}"
        client.send(verb, **fields)
        self._requests.append(Request(verb, client, time.monotonic()))
        return f"{verb} {fields or ''}"

    def waiting(self) -> list[str]:
        """Return the requests without a reply, with their age."""
        now = time.monotonic()
        return [f"{each.name} since {now - each.begun:.1f} s" for each in self._requests]

    def read(self) -> None:
        """Read what has been received."""
        for request in list(self._requests):
            try:
                messages = request.client.receive()
            except ConnectionError as error:
                messages = [{"status": LOST, "what": f"{error} after {time.monotonic() - request.begun:.1f} s"}]
            for message in messages:
                if "status" in message:
                    self.replies.append((request.name, message))
                    self._requests.remove(request)
                    request.client.close()
