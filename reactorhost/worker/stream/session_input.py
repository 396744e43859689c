"""Session input: framed input whose framing speaks to the peer by itself.

    opening (`handshake.session_opening`) -> `connect` hooks -> accept -> messages -> closing, or ended by the peer

The transport exists from the `connect` hooks on. What the framing has to say is sent before the first message is
delivered, after each delivery, and when the connection is closed. So an answer to a control message comes after the
answers to the messages of the same read.

`accept` waits for the end of async `connect` hooks, which is the first time that no hook is owed. No message is
delivered before, because a message waits for every hook that is owed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.framing import Framing, SessionFraming
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.stream.closing import OPEN
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.states import FIN_PENDING


class SessionInput(FramedInput):
    """What stands between a transport and its service when the framing of the connection is a session.

    `messages` are those that came with the peer's half of the handshake.
    """

    __slots__ = ("_accepted", "_closing", "_session", "_stream")

    def __init__(
        self, stream: Stream, context: ServiceContext, session: SessionFraming, messages: Iterator[bytes]
    ) -> None:
        super().__init__(stream, context, session)
        self._stream = stream
        self._session = session
        self._accepted = False
        self._closing = False
        # As if it had been fed already: so `accept` delivers them, and until then the connection has input that waits.
        self._messages = messages if self.clock is None else self.clock.follow(session, messages)

    def send(self, message: Any) -> bool:
        """Send one message; this is the connection's `send`."""
        if self._stream.send_state >= FIN_PENDING:
            return False
        framed = self._session.frame(message)
        # Nothing before `accept`: the framing keeps it.
        return self._stream.send(framed) if framed else True

    @property
    def frame_key(self) -> object:
        """None before `accept`, when the framing keeps messages: another connection's form must not be sent."""
        return super().frame_key if self._accepted else None

    def change(self, framing: Framing | None) -> None:
        """Refuse another framing.

        Raises:
            TypeError: always.
        """
        name = type(self._session).__name__
        raise TypeError(f"the framing of this connection is a session, {name}, and cannot be replaced")

    def deliver_pending(self) -> None:
        """Complete the handshake, if that is left to do, then deliver what waits."""
        if not self._accepted:
            self._accept()
        if self._stream.close_state is OPEN:
            super().deliver_pending()

    def _accept(self) -> None:
        self._accepted = True
        if self._stream.close_state is not OPEN:
            # Refused by a hook, and `closing` was called.
            return
        try:
            self._session.accept()
            self._send_outgoing()
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self._context.hook_raised("framing", self._stream.connection, raised)

    def _feed_backlog(self) -> None:
        if self._session.ended:
            self._backlog = b""
        super()._feed_backlog()

    def _deliver(self, connection: Connection, count: int) -> None:
        super()._deliver(connection, count)
        if self._stream.close_state is OPEN:
            # Ended behind the last message: what is left in the iterator comes first.
            self._send_outgoing()
            if self._session.ended and self._messages is None:
                self._stream.close_for(CloseReason.PEER)

    def closing(self, reason: CloseReason) -> None:
        """Let the framing end the session, before the connection's FIN."""
        if self._closing:
            return
        self._closing = True
        try:
            if not self._session.ended:
                self._session.closing(reason.value)
            # Above the limit it would reset the client, which may still read what is queued.
            if self._stream.queued <= self._context.limits.max_send_buffer:
                self._send_outgoing()
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self._context.hook_raised("framing", self._stream.connection, raised)

    def _send_outgoing(self) -> None:
        outgoing = self._session.outgoing()
        if outgoing:
            self._stream.send(outgoing)
