"""What the reactor reads by itself, and the form in which it passes on what it has read."""

from __future__ import annotations

from typing import Any, Protocol

Arrivals = list[tuple[Any, bytes | None]]
"""Pairs of a stream and what was read of it: bytes, none at its end; None when its connection broke."""


class Readable(Protocol):
    """A socket, as far as it is read."""

    def recv(self, size: int, /) -> bytes:
        """Return what there is, without waiting for it."""


class Stream(Protocol):
    """What the reactor reads by itself."""

    @property
    def socket(self) -> Readable:
        """The socket to read."""

    @property
    def arrivals(self) -> Arrivals:
        """The list that what is read is added to: one that `Reactor.on_arrivals` has a handler for."""
