"""The handler of one connection to Redis: splits what arrives into replies, and notices when the server is silent."""

from __future__ import annotations

from typing import Any, Protocol

import hiredis

from reactorhost import CloseReason, ConnectFailedError, Connection

_INCOMPLETE = object()
_CHECKS_UNTIL_BROKEN = 2


class WireUser(Protocol):
    """The session that a connection reports to."""

    @property
    def most_answer_bytes(self) -> int:
        """How long an answer may be that is not complete yet."""

    def is_current(self, wire: Wire) -> bool:
        """Return whether this connection is in use."""

    def connected(self) -> None:
        """Handle that there is a connection."""

    def broken(self, reason: str, *, lasts: bool = False) -> None:
        """Handle that it broke; `lasts`: there is no hurry to try again."""

    def answered(self, answer: object) -> None:
        """Handle the next answer."""

    def pushed(self, message: list[Any]) -> None:
        """Handle a push message."""

    def ping(self) -> None:
        """Request an answer."""

    def leaving(self, connection: Connection) -> None:
        """Send what waits: the worker is about to leave."""

    def stop(self) -> None:
        """End the session."""


class Wire:
    """One connection of a session. Nothing is reported once the session has another one.

    It is broken when nothing has arrived for `timeout` seconds and a PING was sent.
    """

    def __init__(self, session: WireUser, timeout: float) -> None:
        self.connection: Connection | None = None
        self._session = session
        self._check_seconds = timeout / _CHECKS_UNTIL_BROKEN
        self._silent_checks = 0
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)

    def connect(self, connection: Connection) -> None:
        """See the hook."""
        if not self._session.is_current(self):
            connection.abort()
            return
        self.connection = connection
        connection.call_later(self._check_seconds, self._check)
        self._session.connected()

    def failed(self, error: ConnectFailedError) -> None:
        """Report that there is no connection."""
        if self._session.is_current(self):
            self._session.broken(error.reason)

    def receive(self, data: bytes) -> None:
        """Pass on what is complete."""
        self._silent_checks = 0
        session, reader = self._session, self._reader
        reader.feed(data)
        while session.is_current(self):
            try:
                reply = reader.gets()
            except hiredis.ProtocolError:
                # Without its text, which has bytes of the answer.
                session.broken("the server does not speak the protocol of Redis", lasts=True)
                return
            if reply is _INCOMPLETE:
                break
            if isinstance(reply, hiredis.PushNotification):
                session.pushed(reply)
            else:
                session.answered(reply)
        if session.is_current(self) and reader.len() > session.most_answer_bytes:
            session.broken("an answer of the server is too long", lasts=True)

    def drain(self, connection: Connection) -> None:
        """Send what waits: the worker is about to leave, and its timers are cancelled."""
        if self._session.is_current(self):
            self._session.leaving(connection)

    def close(self, reason: CloseReason) -> None:
        """Report that the connection broke."""
        if not self._session.is_current(self):
            return
        if reason is CloseReason.SHUTDOWN:
            # The worker is about to exit.
            self._session.stop()
        else:
            self._session.broken(_CLOSED.get(reason, f"the connection was closed: {reason}"))

    def _check(self) -> None:
        # By the number of checks and not by a clock: after a hook that has blocked the worker there is one check, and
        # what has arrived meanwhile is read before the next one.
        if not self._session.is_current(self) or self.connection is None:
            return
        if self._silent_checks >= _CHECKS_UNTIL_BROKEN:
            self._session.broken(f"the server does not answer within {_CHECKS_UNTIL_BROKEN * self._check_seconds:g} s")
            return
        if not self._silent_checks:
            self._session.ping()
        self._silent_checks += 1
        self.connection.call_later(self._check_seconds, self._check)


_CLOSED = {
    CloseReason.PEER: "the server has closed the connection",
    CloseReason.OVERFLOW: "more than max_send_buffer bytes waited for the server",
    CloseReason.ERROR: "an error in reactorhost-redis, see hook_failed in the log",
}
