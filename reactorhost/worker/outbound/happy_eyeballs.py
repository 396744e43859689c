"""Happy eyeballs (RFC 8305): connect to the addresses of a name one after the other, and keep the first that succeeds.

The next address is tried when the one before has failed, or has not connected for 250 ms. So a host whose IPv6 address
is unreachable costs a quarter of a second and not the whole timeout. Every socket but the one that is kept is closed.

A turn of the reactor may find several sockets ready. The first that is connected closes the others, so each callback
checks that its socket is still one of the attempts.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from reactorhost.reactor import WRITE, Reactor, TimerHandle
from reactorhost.system.socket_options import set_stream_options
from reactorhost.worker.outbound.resolver import SocketAddress

# The recommended value of RFC 8305, section 5.
_NEXT_ATTEMPT_SECONDS = 0.25
# A TCP listener whose queue is full lets a client wait; a unix listener refuses it with EAGAIN, so we wait here.
_FULL_QUEUE_SECONDS = 0.05


class HappyEyeballs:
    """Attempts to connect to one of several addresses.

    Calls `connected` with a socket and its address, or `failed` with the reasons when every address has failed.
    """

    def __init__(
        self,
        reactor: Reactor,
        addresses: Sequence[SocketAddress],
        peer_timeout: float | None,
        connected: Callable[[socket.socket, SocketAddress], object],
        failed: Callable[[str], object],
    ) -> None:
        self._reactor = reactor
        self._untried = deque(addresses)
        self._peer_timeout = peer_timeout
        self._connected = connected
        self._failed = failed
        self._attempts: dict[socket.socket, SocketAddress] = {}
        self._next_attempt: TimerHandle | None = None
        # A dict for its order and unique keys: several addresses often fail for the same reason.
        self._reasons: dict[str, None] = {}

    def start(self) -> None:
        """Try addresses until an attempt is in progress; fail if none is left."""
        self._next_attempt = None
        while self._untried:
            if self._try(self._untried.popleft()):
                return
        if not self._attempts:
            self._failed("; ".join(self._reasons))

    def stop(self) -> None:
        """Close every socket, and call neither callback."""
        self._untried.clear()
        self._cancel_next_attempt()
        for sock in tuple(self._attempts):
            del self._attempts[sock]
            self._reactor.unregister(sock.fileno())
            sock.close()

    def _try(self, address: SocketAddress) -> bool:
        """Begin to connect; returns False if that has failed already."""
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._add_reason(error.errno)
            return False
        try:
            set_stream_options(sock, self._peer_timeout)
            code = sock.connect_ex(address.sockaddr)
            if code == errno.EINPROGRESS and _is_loopback(address.sockaddr):
                # Our own kernel has answered meanwhile, and the second call returns the outcome. To wait for the
                # descriptor would cost three more system calls and a turn.
                code = sock.connect_ex(address.sockaddr)
        except OSError as error:
            code = error.errno or errno.EINVAL
        except ValueError:
            # A unix path with a null byte.
            code = errno.EINVAL
        if code == 0:
            self._keep(sock, address)
            return True
        if code in (errno.EINPROGRESS, errno.EALREADY):
            self._attempts[sock] = address
            self._reactor.register(sock.fileno(), WRITE, lambda events: self._ready(sock))
            if self._untried:
                self._next_attempt = self._reactor.call_later(_NEXT_ATTEMPT_SECONDS, self.start)
            return True
        sock.close()
        if code == errno.EAGAIN and address.family == socket.AF_UNIX:
            self._untried.appendleft(address)
            self._next_attempt = self._reactor.call_later(_FULL_QUEUE_SECONDS, self.start)
            return True
        self._add_reason(code)
        return False

    def _ready(self, sock: socket.socket) -> None:
        address = self._attempts.pop(sock, None)
        if address is None:
            return
        self._reactor.unregister(sock.fileno())
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            self._keep(sock, address)
        else:
            self._drop(sock, code)

    def _keep(self, sock: socket.socket, address: SocketAddress) -> None:
        if address.family != socket.AF_UNIX and sock.getsockname() == address.sockaddr:
            # TCP's simultaneous open: to an unused port of this machine, the kernel may choose that same port as the
            # source, and the socket is connected to itself.
            self._drop(sock, errno.ECONNREFUSED)
            return
        self.stop()
        self._connected(sock, address)

    def _drop(self, sock: socket.socket, code: int) -> None:
        sock.close()
        self._add_reason(code)
        self._cancel_next_attempt()
        self.start()

    def _cancel_next_attempt(self) -> None:
        if self._next_attempt is not None:
            self._next_attempt.cancel()
            self._next_attempt = None

    def _add_reason(self, code: int | None) -> None:
        self._reasons[os.strerror(code or errno.EINVAL).lower()] = None


def _is_loopback(sockaddr: Any) -> bool:
    return isinstance(sockaddr, tuple) and (sockaddr[0].startswith("127.") or sockaddr[0] == "::1")
