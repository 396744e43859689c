"""A race: connect to the places that a name stands for, one after the other, and keep the first that answers.

The next place is tried when the one before has failed, or has not answered for a quarter of a second (RFC 8305). So a
host with a dead IPv6 address costs that quarter and not the whole timeout.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from reactorhost.reactor import WRITE, Reactor, Timer
from reactorhost.system.socket_options import set_stream_options
from reactorhost.worker.outbound.resolver import Place

_HEAD_START_SECONDS = 0.25
# The queue of a unix listener that is full refuses, where that of a TCP listener lets wait.
_FULL_QUEUE_SECONDS = 0.05

Won = Callable[[socket.socket, Place], object]


class HappyEyeballs:
    """The tries to connect; each socket is closed but the one that `won` is called with.

    `lost` is called with the reasons, when every place has failed.
    """

    def __init__(
        self,
        reactor: Reactor,
        places: Sequence[Place],
        peer_timeout: float | None,
        won: Won,
        lost: Callable[[str], object],
    ) -> None:
        self._reactor = reactor
        self._places = deque(places)
        self._peer_timeout = peer_timeout
        self._won = won
        self._lost = lost
        self._tries: dict[socket.socket, Place] = {}
        self._next_try: Timer | None = None
        # As keys: of several places that fail alike it is told once.
        self._reasons: dict[str, None] = {}

    def start(self) -> None:
        """Try until one has to be waited for."""
        self._next_try = None
        while self._places:
            if self._try(self._places.popleft()):
                return
        if not self._tries:
            self._lost("; ".join(self._reasons))

    def stop(self) -> None:
        """Give up."""
        self._places.clear()
        self._cancel_next()
        for sock in tuple(self._tries):
            self._forget(sock)
            sock.close()

    def _try(self, place: Place) -> bool:
        """Begin to connect; False if that has failed already."""
        try:
            sock = socket.socket(place.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._note(error.errno)
            return False
        try:
            set_stream_options(sock, self._peer_timeout)
            code = sock.connect_ex(place.sockaddr)
        except OSError as error:
            code = error.errno or errno.EINVAL
        except ValueError:
            # A path that no file can have.
            code = errno.EINVAL
        if code == 0:
            self._tries[sock] = place
            self._connected(sock)
            return True
        if code == errno.EINPROGRESS:
            self._wait_for(sock, place)
            return True
        sock.close()
        if code == errno.EAGAIN and place.family == socket.AF_UNIX:
            self._places.appendleft(place)
            self._next_try = self._reactor.call_later(_FULL_QUEUE_SECONDS, self.start)
            return True
        self._note(code)
        return False

    def _wait_for(self, sock: socket.socket, place: Place) -> None:
        self._tries[sock] = place
        self._reactor.register(sock.fileno(), WRITE, lambda events: self._ready(sock))
        if self._places:
            self._next_try = self._reactor.call_later(_HEAD_START_SECONDS, self.start)

    def _ready(self, sock: socket.socket) -> None:
        if sock not in self._tries:
            return
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._reactor.unregister(sock.fileno())
        if code == 0:
            self._connected(sock)
            return
        del self._tries[sock]
        sock.close()
        self._note(code)
        self._cancel_next()
        self.start()

    def _connected(self, sock: socket.socket) -> None:
        place = self._tries.pop(sock)
        if place.family != socket.AF_UNIX and sock.getsockname() == place.sockaddr:
            # A port of our own that the kernel chose to connect from, where nobody listens: TCP allows a socket to
            # connect to itself.
            sock.close()
            self._note(errno.ECONNREFUSED)
            self._cancel_next()
            self.start()
            return
        self.stop()
        self._won(sock, place)

    def _forget(self, sock: socket.socket) -> None:
        del self._tries[sock]
        self._reactor.unregister(sock.fileno())

    def _cancel_next(self) -> None:
        if self._next_try is not None:
            self._next_try.cancel()
            self._next_try = None

    def _note(self, code: int | None) -> None:
        self._reasons[os.strerror(code or errno.EINVAL).lower()] = None
