"""A session, driven as the host drives it, whose messages are echoed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from reactorhost.framing import FramingError
from reactorhost_websocket import Parameters, WebSocket
from websocket_frames import request


def echo(session: WebSocket, message: bytes) -> bytes:
    """Answer a message with itself."""
    return session.frame(message)


@dataclass
class Server:
    """A session, driven as the host drives it.

    Attributes:
        handle: what a plugin does with a message; returns the bytes that it sends.
        sent: what has been sent.
        error: what the client did wrong, if anything.
    """

    session: WebSocket = field(default_factory=WebSocket)
    handle: Callable[[WebSocket, bytes], bytes] = echo
    sent: bytes = b""
    error: str | None = None
    messages: list[bytes] = field(default_factory=list)

    @property
    def is_closed(self) -> bool:
        return self.session.ended or self.error is not None

    def receive(self, *pieces: bytes) -> None:
        """Feed the session until it ends."""
        for piece in pieces:
            if self.is_closed:
                return
            try:
                self._deliver(iter(self.session.feed(piece)))
            except FramingError as error:
                self.error = str(error)
                self.sent += self.session.outgoing()
                self.session.closing("framing")
            self.sent += self.session.outgoing()

    def _deliver(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            self.messages.append(message)
            self.sent += self.handle(self.session, message)

    def close(self, reason: str) -> None:
        self.session.closing(reason)
        self.sent += self.session.outgoing()


def opened(parameters: Parameters | None = None, **headers: str) -> Server:
    """Return a server whose handshake is complete, with nothing in `sent`."""
    server = Server(WebSocket(parameters))
    server.receive(request(**headers))
    assert not server.session.opening
    server.session.accept()
    assert server.session.outgoing().startswith(b"HTTP/1.1 101 ")
    return server
