"""One message for many connections: encoded once for each kind of framing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from reactorhost.api.connection import as_bytes
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.transport import StreamTransport

OnError = Callable[[StreamTransport, BaseException], object]
"""Called with the first connection whose framing cannot encode the message, and what it raised."""


class FramedOnce:
    """The forms of one message, by the `frame_key` of framings.

    A framing without a key encodes the message for each connection. `on_error` is called once: a message that one
    framing cannot encode, others cannot either, for each of a thousand members.
    """

    __slots__ = ("_data", "_failed", "_forms", "_on_error")

    def __init__(self, data: bytes, on_error: OnError) -> None:
        self._data = data
        self._on_error = on_error
        self._forms: dict[Hashable, bytes | None] = {}
        self._failed = False

    def send(self, transport: StreamTransport) -> bool:
        """Send the message to a connection; returns what its `send` returns, or False if it cannot be encoded."""
        receiver = transport.receiver
        if not isinstance(receiver, FramedInput) or receiver.framing is None:
            return transport.send(self._data)
        framed = self._form(transport, receiver)
        return framed is not None and transport.send(framed)

    def _form(self, transport: StreamTransport, framed_input: FramedInput) -> bytes | None:
        framing = framed_input.framing
        try:
            key: Hashable = framed_input.frame_key
            if key is None:
                return _framed(framing, self._data)
            if key not in self._forms:
                # First None, for the others of this key if it cannot be encoded.
                self._forms[key] = None
                self._forms[key] = _framed(framing, self._data)
            return self._forms[key]
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            if not self._failed:
                self._failed = True
                self._on_error(transport, raised)
            return None


def _framed(framing: Any, data: bytes) -> bytes:
    frame: Callable[[bytes], bytes] | None = getattr(framing, "frame", None)
    if frame is None:
        raise TypeError(f"a {type(framing).__name__} has no frame(message), so it cannot encode what is sent to groups")
    framed = frame(data)
    return framed if type(framed) is bytes else as_bytes("send_to", framed)
