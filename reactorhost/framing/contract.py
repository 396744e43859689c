"""The interface between the host and a framing, its own or one that a plugin brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeGuard

DEFAULT_MAX_SIZE = 1024 * 1024
"""The default limit of a message's size, in bytes."""


class FramingError(Exception):
    """The peer broke the framing, or sent a message that is too large; the text is one sentence.

    Not a `ReactorhostError`: the fault is the peer's, and nothing that an operator started has failed.
    """


class Framing(Protocol):
    """Splits the received bytes of one connection into messages.

    Only `feed` is required. The host uses three optional methods and two attributes:

    - `rest() -> bytes` takes out the bytes that were not returned as messages yet, also when the last iterator was not
      exhausted. Without it a connection cannot change from this framing to another one.
    - `frame(message) -> bytes` returns the message as it goes on the wire, or raises a ValueError with the reason.
      Without it `connection.send_message` cannot be used.
    - `fresh() -> Framing` returns a framing with the same parameters and no pending bytes. Without it the host makes a
      deep copy for each connection.
    - `frame_key` is hashable: framings of equal keys encode a message in the same way, so what `worker.send_to` sends
      to a group is encoded once for all of them. Without it, or with None, it is encoded for each connection.
    - `incomplete`: whether a message has begun that is not complete, once the messages of the last `feed` are taken;
      for `message_timeout`. Without it, a message has begun when `feed` has returned none.
    """

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Add received bytes and return the messages that are complete now; the host takes one at a time.

        The host calls this again only when it has taken every message, or has dropped the iterator. `data` may be
        empty.

        Raises:
            FramingError: the peer broke the framing; raised by the iterator, after the messages before the violation.
        """


class SessionFraming(Framing, Protocol):
    """A framing that speaks to the peer by itself, as WebSocket does: a handshake, answers to control messages, an end.

    The host recognizes it by its method `outgoing`. The methods only change the framing's own state; what is to be sent
    is taken from `outgoing` after each of them. `connection.send` on such a connection sends one message, as
    `send_message` does: bytes outside of a message have no meaning. A session begins with its connection, so
    `connection.framing` cannot be set to one, nor replaced.

    Attributes:
        opening: whether the peer's half of the handshake is incomplete. The host feeds what arrives, within the
            service's `handshake_timeout`, and calls the `connect` hooks when this is False. `feed` returns no messages
            before; a FramingError refuses the peer, after what `outgoing` returns. With False from the start, `connect`
            is called at once.
        ended: whether the peer has ended the session as it should: the host delivers the messages before, sends
            `outgoing`, and closes the connection with the reason `peer`. Nothing is fed any more.
    """

    opening: bool
    ended: bool

    def outgoing(self) -> bytes:
        """Take out what the framing itself has to send now, in order.

        From the end of `opening` on, called only after `accept` or `closing`.
        """

    def accept(self) -> None:
        """Complete the handshake: the `connect` hooks have run, and the connection is still open.

        The answer comes first: before answers to control messages that have followed the peer's half at once, and
        before messages that were sent by `connect` hooks. Until here `frame` returns nothing.
        """

    def closing(self, reason: str) -> None:
        """End the session: the host closes the connection, with this `CloseReason` as text.

        Before `accept` this refuses the handshake: a `connect` hook has closed the connection, or, with `timeout`, the
        peer's half did not arrive in time. Called at most once: not after `ended`, nor for a connection that is reset,
        nor for one that ends by itself because the peer has closed its side and nothing is left to answer.
        """

    def frame(self, message: bytes | str) -> bytes:
        """Return what was passed to `connection.send`, or to `worker.send_to`, as it goes on the wire.

        It may be anything that the framing defines beside bytes and text, a ping for example. Nothing is returned
        before `accept`, nor by a framing that has announced its own end.

        Raises:
            ValueError: it cannot be encoded; the text is one sentence.
        """


def is_session(framing: object) -> TypeGuard[SessionFraming]:
    """Return whether a framing speaks to the peer by itself."""
    return getattr(framing, "outgoing", None) is not None
