"""Why a connection ended."""

from __future__ import annotations

import enum


class CloseReason(enum.Enum):
    """Why a connection ended; the second argument of the `close` hook."""

    PEER = "peer"
    """The client closed its side, or disconnected."""
    LOCAL = "local"
    """A plugin called `close()` or `abort()`."""
    ERROR = "error"
    """A hook raised an exception."""
    IDLE = "idle"
    """Nothing was received or sent for `idle_timeout` seconds."""
    OVERFLOW = "overflow"
    """More than `max_send_buffer` bytes waited for a client that does not read."""
    FRAMING = "framing"
    """The client broke the framing, or sent a message past its maximum size."""
    TLS = "tls"
    """The handshake of `connection.start_tls` failed, or there was input behind the request for it."""
    TIMEOUT = "timeout"
    """The client did not complete a message within `message_timeout` seconds. Or a plugin called `close()`, and the
    client accepted none of the remaining bytes for `close_timeout` seconds."""
    OPERATOR = "operator"
    """An operator disconnected the client."""
    SHUTDOWN = "shutdown"
    """The worker exits, and its deadline passed."""

    def __str__(self) -> str:
        return self.value
