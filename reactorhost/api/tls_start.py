"""TLS handshakes on connections that were plain before."""

from __future__ import annotations

from reactorhost.api.awaitable import AwaitableTask
from reactorhost.api.connection_ended import ConnectionEndedError
from reactorhost.tls.facts import TlsFacts


class TlsFailedError(ConnectionEndedError):
    """The handshake of `connection.start_tls` has failed, and the connection is closed; the text says why."""

    # The name by which plugins import it: tracebacks and the log show the full name.
    __module__ = "reactorhost"


class TlsStart(AwaitableTask[TlsFacts]):
    """A TLS handshake that `connection.start_tls` has begun.

    In an async hook, `await` returns the facts of the session or raises `TlsFailedError`. A handshake cannot be
    cancelled: `cancel()`, and the cancellation of the hook that awaits it, only let it go on alone.
    """

    __slots__ = ()

    def _on_cancel(self) -> None:
        pass
