"""A conversation with the control socket that never waits: asked for, and read when something came."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from reactorhost.dashboard.text.line import clean

Message = dict[str, Any]

_READ_BYTES = 262_144


class Conversation:
    """One connection to a control socket.

    Raises:
        OSError: nobody listens there.
    """

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._unread = bytearray()
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def ask(self, verb: str, **fields: object) -> None:
        """Send a question.

        Raises:
            OSError: the host is gone, or takes nothing.
        """
        self.socket.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")

    def read(self) -> list[Message]:
        """Return the whole messages that came.

        Raises:
            OSError: the host is gone.
        """
        while True:
            try:
                data = self.socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                raise ConnectionResetError("the host closed the conversation")
            self._unread += data
            if len(data) < _READ_BYTES:
                break
        *lines, rest = self._unread.split(b"\n")
        self._unread = rest
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End it."""
        self.socket.close()


class Order:
    """A request to the host on its way, and what it came to so far.

    Attributes:
        said: the newest word of it.
        ended: whether that was the last.
        failed: whether it was a bad one.
    """

    def __init__(self, path: Path, verb: str, fields: dict[str, object]) -> None:
        self._verb = verb
        self.said = f"{verb}: asked"
        self.ended = self.failed = False
        self.conversation: Conversation | None = None
        try:
            self.conversation = Conversation(path)
            self.conversation.ask(verb, **fields)
        except OSError as error:
            self._fail(f"the host cannot be asked: {error.strerror}")

    def read(self) -> None:
        """Take note of what came."""
        if self.conversation is None:
            return
        try:
            for message in self.conversation.read():
                self._take(message)
        except OSError:
            if not self.ended:
                self._fail("the host ended before it answered")

    def close(self) -> None:
        """Hear no more of it; the host goes on."""
        if self.conversation is not None:
            self.conversation.close()
            self.conversation = None

    def _take(self, message: Message) -> None:
        if "progress" in message:
            self.said = f"{self._verb}: {clean(message['progress'])}"
        elif message.get("status") == 0:
            self.said = self._success(message)
            self.ended = True
        elif "status" in message:
            self._fail(str(message["what"]))

    def _fail(self, what: str) -> None:
        self.said = f"{self._verb} failed: {what}"
        self.ended = self.failed = True

    def _success(self, message: Message) -> str:
        match self._verb:
            case "reload":
                return f"reload: done, {message['replaced']} workers replaced, generation {message['generation']}"
            case "scale":
                return f"scale: done, {message['workers']} workers ready"
            case verb:
                return f"{verb}: done"
