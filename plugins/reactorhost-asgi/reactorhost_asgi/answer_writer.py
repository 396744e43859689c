"""The transport of the answers of one client: it sends headers together with the first part of a body."""

from __future__ import annotations

import asyncio

# Copied to one piece up to this size; a larger one is worth a call of its own.
_COPY_BYTES = 65_536


class AnswerWriter:
    """What uvicorn's `RequestResponseCycle` uses of a transport."""

    __slots__ = ("_held", "_holds", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self._holds = False

    def hold(self) -> None:
        """Hold what is written next."""
        self._holds = True

    def drop(self) -> bool:
        """Drop what is held, or would be; returns whether there was something."""
        dropped = self._holds or bool(self._held)
        self._holds = False
        self._held = b""
        return dropped

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def write(self, data: bytes) -> None:
        """Send data, behind what is held."""
        if self._holds:
            self._holds = False
            self._held = data
            return
        if self._held:
            if len(data) > _COPY_BYTES:
                self.flush()
            else:
                data = self._held + data
                self._held = b""
        if data:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Return whether the client gets no more."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what is held, then close the connection."""
        self.flush()
        self._transport.close()
