"""A request to the host that was sent from the live view, and its latest progress."""

from __future__ import annotations

from pathlib import Path

from reactorhost.dashboard.model.view import HostRequest
from reactorhost.dashboard.text.line import clean
from reactorhost.ipc.control_client import ControlClient
from reactorhost.ipc.messages import Message


class SentRequest:
    """A request on its own connection, read without blocking.

    Attributes:
        text: the latest progress, or the result.
        finished: whether `text` is the result.
        failed: whether the result is a failure.
        client: the connection; None once it is closed.
    """

    def __init__(self, path: Path, request: HostRequest) -> None:
        self._verb = request.verb
        self.text = f"{request.verb}: requested"
        self.finished = self.failed = False
        self.client: ControlClient | None = None
        try:
            self.client = ControlClient(path, timeout=0)
            self.client.send(request.verb, **dict(request.fields))
        except OSError as error:
            self._fail(f"the host does not accept requests: {error.strerror}")

    def read(self) -> None:
        """Read what has arrived."""
        if self.client is None:
            return
        try:
            for message in self.client.receive():
                self._update(message)
        except OSError:
            if not self.finished:
                self._fail("the host ended before it answered")

    def close(self) -> None:
        """Close the connection; the host goes on with the request."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def _update(self, message: Message) -> None:
        if "progress" in message:
            self.text = f"{self._verb}: {clean(message['progress'])}"
        elif message.get("status") == 0:
            self.text = self._success(message)
            self.finished = True
        elif "status" in message:
            self._fail(str(message["what"]))

    def _fail(self, what: str) -> None:
        self.text = f"{self._verb} failed: {what}"
        self.finished = self.failed = True

    def _success(self, message: Message) -> str:
        match self._verb:
            case "reload":
                return f"reload: done, {message['replaced']} workers replaced, generation {message['generation']}"
            case "scale":
                return f"scale: done, {message['workers']} workers ready"
            case verb:
                return f"{verb}: done"
