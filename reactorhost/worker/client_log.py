"""Log lines about the clients of a service: a few a second, since clients can cause them at any rate."""

from __future__ import annotations

from reactorhost.api.connection import Connection
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.limited_lines import LimitedLines

_LINES_PER_SECOND = 5


class ClientLog:
    """The lines of one service.

    Those of handshakes and PROXY headers have a limit of their own: port scans must not suppress the others.
    """

    def __init__(self, service: str, reactor: Reactor, log: EventLog) -> None:
        self._service = service
        self._reactor = reactor
        self._log = log
        self._limit = RateLimit(_LINES_PER_SECOND)
        self._handshake_lines = LimitedLines(reactor, log)

    def framing_broken(self, connection: Connection, reason: str) -> None:
        """Log that a client's bytes do not fit the framing."""
        if self._limit.admits(self._reactor.now):
            self._log.warning(
                "framing_broken", **self._client(connection), reason=reason, suppressed=self._limit.take_suppressed()
            )

    def message_late(self, connection: Connection, message_timeout: float) -> None:
        """Log that a client is disconnected because its message was not complete in time."""
        if self._limit.admits(self._reactor.now):
            self._log.warning(
                "message_timed_out",
                **self._client(connection),
                message_timeout=message_timeout,
                suppressed=self._limit.take_suppressed(),
            )

    def overflowed(self, connection: Connection, max_send_buffer: int) -> None:
        """Log that a client is disconnected because it does not read what it is sent."""
        if self._limit.admits(self._reactor.now):
            self._log.warning(
                "send_buffer_overflow",
                **self._client(connection),
                queued_bytes=connection.queued,
                max_send_buffer=max_send_buffer,
                suppressed=self._limit.take_suppressed(),
            )

    def close_timed_out(self, connection: Connection, queued_bytes: int) -> None:
        """Log that a client is reset because it accepts nothing of what was sent before the close."""
        if self._limit.admits(self._reactor.now):
            self._log.warning(
                "close_timed_out",
                **self._client(connection),
                queued_bytes=queued_bytes,
                suppressed=self._limit.take_suppressed(),
            )

    def tls_failed(self, connection: Connection, reason: str) -> None:
        """Log that the handshake of `start_tls` has failed."""
        if self.admits_handshake_line():
            self._log.info("handshake_failed", **self._client(connection), reason=reason)

    def tls_injected(self, connection: Connection) -> None:
        """Log that there was plain text behind the request for TLS."""
        if self.admits_handshake_line():
            self._log.warning("starttls_injection", **self._client(connection))

    def tls_broken(self, connection: Connection, reason: str) -> None:
        """Log that TLS has failed after the handshake of `start_tls`."""
        if self.admits_handshake_line():
            self._log.info("tls_broken", **self._client(connection), reason=reason)

    def admits_handshake_line(self) -> bool:
        """Count a line about a handshake or a PROXY header, and return whether to log it."""
        return self._handshake_lines.admits(service=self._service)

    def _client(self, connection: Connection) -> dict[str, object]:
        return {"service": self._service, "peer": connection.peer, "connection": connection.id}
