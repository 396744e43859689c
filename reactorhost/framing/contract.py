"""What a framing is: the contract between the host and every framing, also one that a plugin brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

DEFAULT_MAX_SIZE = 1024 * 1024
"""Bytes that a message may have where nobody says otherwise."""


class FramingError(Exception):
    """The peer broke the framing, or sent a message that is too large; the text is one plain sentence.

    The peer is to blame and not the operator, so this is none of the errors that have an exit status.
    """


class Framing(Protocol):
    """The incoming bytes of one connection, cut into messages.

    `feed` is all that a framing needs. The host uses three more methods where they are there:

    - `rest() -> bytes` takes out the bytes that were not given as messages yet, also after an iterator was dropped half
      way. Without it a connection cannot change from it to another framing.
    - `frame(message) -> bytes` returns the message as it goes on the wire, or raises a ValueError that says why it
      cannot. Without it `connection.send_message` cannot be used.
    - `fresh() -> Framing` returns one with the same parameters that holds no bytes. Without it the host makes a deep
      copy for each connection.
    """

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Take bytes as they came and give the messages that are whole now, one when it is asked for.

        The host does not call it again before it has taken every message, or let go of those that are left. There may
        be no bytes at all.

        Raises:
            FramingError: the peer broke the framing; by the iterator, after the messages that came before.
        """
