"""The interface between the host and a framing, its own or one that a plugin brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

DEFAULT_MAX_SIZE = 1024 * 1024
"""The default limit of a message's size, in bytes."""


class FramingError(Exception):
    """The peer broke the framing, or sent a message that is too large; the text is one sentence.

    Not a `ReactorhostError`: the fault is the peer's, and nothing that an operator started has failed.
    """


class Framing(Protocol):
    """Splits the received bytes of one connection into messages.

    Only `feed` is required. The host uses three optional methods and an attribute:

    - `rest() -> bytes` takes out the bytes that were not returned as messages yet, also when the last iterator was not
      exhausted. Without it a connection cannot change from this framing to another one.
    - `frame(message) -> bytes` returns the message as it goes on the wire, or raises a ValueError with the reason.
      Without it `connection.send_message` cannot be used.
    - `fresh() -> Framing` returns a framing with the same parameters and no pending bytes. Without it the host makes a
      deep copy for each connection.
    - `frame_key` is hashable: framings of equal keys encode a message in the same way, so what `worker.send_to` sends
      to a group is encoded once for all of them. Without it, or with None, it is encoded for each connection.
    """

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Add received bytes and return the messages that are complete now; the host takes one at a time.

        The host calls this again only when it has taken every message, or has dropped the iterator. `data` may be
        empty.

        Raises:
            FramingError: the peer broke the framing; raised by the iterator, after the messages before the violation.
        """
