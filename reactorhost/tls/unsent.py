"""Ciphertext that waits until the kernel has room, and the FIN behind it.

In most cases the transport repeats its `send`, and that sends it. What the transport does not know of (an alert, an
answer to a key update, close_notify) is sent by a reactor callback. It is registered for a duplicate of the socket's
descriptor, since the transport registers the number itself for something else meanwhile.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

from reactorhost.reactor import WRITE, Reactor


@dataclass(slots=True, eq=False, repr=False)
class UnsentCiphertext:
    """The unsent ciphertext of one connection.

    Attributes:
        data: the bytes; they cannot be revoked, because the session's record numbers have advanced.
        fin_pending: whether a FIN follows the last of them.
    """

    reactor: Reactor
    socket: socket.SocketType
    data: bytearray = field(default_factory=bytearray, init=False)
    fin_pending: bool = field(default=False, init=False)
    # The duplicate, while the callback is registered.
    _descriptor: int | None = field(default=None, init=False)

    def flush(self) -> bool:
        """Send now; returns whether the kernel accepted all of it.

        Raises:
            OSError: the connection failed.
        """
        if self.data:
            try:
                sent = self.socket.send(self.data)
            except BlockingIOError:
                return False
            del self.data[:sent]
        return not self.data

    def send_later(self) -> None:
        """Send when the kernel has room."""
        if self._descriptor is None:
            self._descriptor = os.dup(self.socket.fileno())
            self.reactor.register(self._descriptor, WRITE, self._continue)

    def _continue(self, events: int) -> None:
        try:
            if self.flush():
                self.stop()
                if self.fin_pending:
                    self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.stop()

    def stop(self) -> None:
        """Make no more callbacks, and close the duplicate."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self.reactor.unregister(descriptor)
            os.close(descriptor)
