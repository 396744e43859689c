"""Notifications to a service manager (sd_notify(3)): datagrams of `KEY=value` lines, to a unix socket."""

from __future__ import annotations

import array
import errno
import socket
from collections.abc import Sequence


class NotifySocket:
    """The socket that `$NOTIFY_SOCKET` names: an absolute path, or `@` and an abstract name."""

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    @property
    def is_open(self) -> bool:
        """Whether `close` was not called."""
        return self._socket is not None

    def send(self, text: str, descriptors: Sequence[int] = ()) -> None:
        """Send a notification, with descriptors for the store of the service manager.

        Raises:
            BlockingIOError: the service manager reads too slowly; the notification was not sent.
            OSError: the socket does not exist any more, or is not accessible.
        """
        if self._socket is None:
            return
        try:
            # Not connected: after a restart of the service manager its address is the same, the socket another one.
            # Not socket.send_fds, which ignores flags and address (CPython 3.11 to 3.13).
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
            self._socket.sendmsg([text.encode()], rights, socket.MSG_DONTWAIT, self._address)
        except OSError as error:
            # The kernel counts descriptors that are on their way, and refuses more until some have arrived.
            if error.errno in (errno.ENOBUFS, errno.ETOOMANYREFS):
                raise BlockingIOError(error.errno, error.strerror) from None
            raise

    def close(self) -> None:
        """Close the socket; what is sent from now on is dropped."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
