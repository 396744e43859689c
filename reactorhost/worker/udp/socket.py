"""A port: one UDP socket as a worker reads it, and keeps it for answers that are still to come.

A datagram is a connection of its own that nobody opens or closes. It is forgotten when its hooks have finished and its
timers are over. Until then the worker keeps its copy of the socket, even when it reads no more from there.
"""

from __future__ import annotations

import enum
import errno
import itertools
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.address import Endpoint
from reactorhost.reactor import READ
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.udp import pktinfo
from reactorhost.worker.udp.pktinfo import Control
from reactorhost.worker.udp.transport import DatagramTransport

if TYPE_CHECKING:
    from reactorhost.worker.hooks.hook_queue import HookQueues

_BATCH = 64
_MOST_UNFINISHED = 1024
_FEW_UNFINISHED = 256
_BUFFER_BYTES = 65536
_CONTROL_BYTES = 128
_SECONDS_BETWEEN_COMPLAINTS = 1.0


class DatagramSocket(Protocol):
    """What a port needs of a socket."""

    def recvfrom_into(self, buffer: bytearray, size: int, flags: int, /) -> tuple[int, Any]: ...
    def recvmsg_into(
        self, buffers: list[bytearray], control_size: int, flags: int, /
    ) -> tuple[int, Control, int, Any]: ...
    def sendto(self, data: bytes, address: Any, /) -> int: ...
    def sendmsg(self, data: list[bytes], control: Control, flags: int, address: Any, /) -> int: ...
    def getsockopt(self, level: int, option: int, /) -> int: ...
    def getsockname(self) -> Any: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...

    @property
    def family(self) -> int: ...


class Stage(enum.Enum):
    """What a port still does; it only goes forward."""

    READING = "reading"
    EMPTYING = "emptying"
    """Reads what waits, then no more."""
    ANSWERING = "answering"
    """Reads no more, and waits for hooks and timers that may send."""
    LEAVING = "leaving"
    """Waits only for hooks that were cancelled."""
    CLOSED = "closed"


class UdpSocket:
    """One UDP socket that a worker borrows from a slot; `on_closed` is called when its copy is closed."""

    def __init__(
        self,
        context: ServiceContext,
        sock: DatagramSocket,
        ids: itertools.count[int],
        on_closed: Callable[[], object],
    ) -> None:
        self.context = context
        self._socket = sock
        self._ids = ids
        self._on_closed = on_closed
        self._stage = Stage.READING
        self._watched = False
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._receive = self._receive_message if pktinfo.is_told(sock) else self._receive_from
        self._unfinished: set[DatagramTransport] = set()
        self._timed: set[DatagramTransport] = set()
        self._too_long = 0
        self._complained_at = -_SECONDS_BETWEEN_COMPLAINTS

    @property
    def closed(self) -> bool:
        """Whether its copy of the socket is closed."""
        return self._stage is Stage.CLOSED

    @property
    def takes_no_timers(self) -> bool:
        """Whether it waits for nothing that a timer would do."""
        return self._stage in (Stage.LEAVING, Stage.CLOSED)

    def open(self) -> None:
        """Read from now on."""
        self._watch(watched=True)

    def release(self) -> None:
        """Leave what comes from now on to somebody else."""
        if self._stage in (Stage.READING, Stage.EMPTYING):
            self._stage = Stage.ANSWERING
            self._watch(watched=False)
            self._close_if_done()

    def finish(self) -> None:
        """Read what waits, then no more: nobody comes after us."""
        if self._stage is Stage.READING:
            self._stage = Stage.EMPTYING
            # An empty socket never becomes readable, so it would never be found to be empty.
            self.context.reactor.call_soon(self._readable, READ)

    def abandon(self) -> None:
        """Read no more, forget every timer, and cancel every hook that still runs."""
        if self._stage in (Stage.LEAVING, Stage.CLOSED):
            return
        self._stage = Stage.LEAVING
        self._watch(watched=False)
        for transport in tuple(self._timed):
            transport.cancel_timers()
        self._timed.clear()
        if self.context.hook_queues is not None:
            for transport in tuple(self._unfinished):
                self.context.hook_queues.cancel(transport.connection)
        self._close_if_done()

    def close_inherited(self) -> None:
        """Close the copy of a process that a plugin forked."""
        self._socket.close()

    # Receiving.

    def _readable(self, events: int) -> None:
        for _ in range(_BATCH):
            if not self._watched:
                return
            try:
                size, address, control = self._receive()
            except OSError:
                if self._stage is Stage.EMPTYING:
                    self.release()
                return
            self._received(size, address, control)

    def _receive_from(self) -> tuple[int, Any, Control]:
        # The kernel tells the size of the whole datagram with this flag, also of one that was cut.
        size, address = self._socket.recvfrom_into(self._buffer, 0, socket.MSG_TRUNC)
        return size, address, []

    def _receive_message(self) -> tuple[int, Any, Control]:
        size, control, _, address = self._socket.recvmsg_into([self._buffer], _CONTROL_BYTES, socket.MSG_TRUNC)
        return size, address, control

    def _received(self, size: int, address: Any, control: Control) -> None:
        context = self.context
        if size > context.limits.max_datagram:
            self._complain(size, address)
            return
        data = self._view[:size].tobytes()
        transport = DatagramTransport(self, address, control, next(self._ids))
        connection = transport.connection
        connection.bytes_in = size
        counters = context.counters
        counters.messages += 1
        counters.bytes_in += size
        try:
            context.receive(connection, data)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            context.receive_failed(connection, raised)
        if self.context.hook_queues is not None:
            self._wait_for_hook(transport, self.context.hook_queues)

    def _complain(self, size: int, address: Any) -> None:
        """Tell of a datagram that is not handed over cut, at most once a second."""
        self._too_long += 1
        now = self.context.reactor.now
        if now - self._complained_at >= _SECONDS_BETWEEN_COMPLAINTS:
            self._complained_at = now
            self.context.log.warning(
                "datagram_too_long",
                service=self.context.name,
                peer=Endpoint(*address[:2]),
                bytes=size,
                max_datagram=self.context.limits.max_datagram,
                dropped=self._too_long,
            )

    # Sending.

    def send(self, data: bytes, address: Any, control: Control) -> bool:
        """Give an answer to the kernel; False when it does not take it."""
        try:
            if control:
                self._socket.sendmsg([data], control, 0, address)
            else:
                self._socket.sendto(data, address)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                room = "65507 bytes over IPv4, 65527 over IPv6"
                raise ValueError(f"a datagram has room for {room}, not for {len(data)}") from None
            return False
        self.context.counters.bytes_out += len(data)
        return True

    def local(self) -> Endpoint:
        """Return the address that it is bound to."""
        try:
            return Endpoint(*self._socket.getsockname()[:2])
        except OSError:
            return Endpoint("", 0)

    # What still may send.

    def _wait_for_hook(self, transport: DatagramTransport, hook_queues: HookQueues) -> None:
        self._unfinished.add(transport)
        hook_queues.forget(transport.connection, lambda: self._hook_finished(transport))
        if len(self._unfinished) >= _MOST_UNFINISHED and self._watched:
            # The kernel's buffer holds what comes meanwhile, and drops what it has no room for.
            self._watch(watched=False)

    def _hook_finished(self, transport: DatagramTransport) -> None:
        self._unfinished.discard(transport)
        if self._stage in (Stage.READING, Stage.EMPTYING):
            if not self._watched and len(self._unfinished) <= _FEW_UNFINISHED:
                self._watch(watched=True)
                self.context.reactor.call_soon(self._readable, READ)
        else:
            self._close_if_done()

    def timer_waits(self, transport: DatagramTransport) -> None:
        """Keep the socket for what a timer may send."""
        self._timed.add(transport)

    def timers_over(self, transport: DatagramTransport) -> None:
        """Look, once the last timer's function has run, whether it has set another one."""
        self.context.reactor.call_soon(self._look_at_timers, transport)

    def _look_at_timers(self, transport: DatagramTransport) -> None:
        if not transport.has_timers:
            self._timed.discard(transport)
            self._close_if_done()

    # Ending.

    def _watch(self, *, watched: bool) -> None:
        if watched == self._watched:
            return
        self._watched = watched
        if watched:
            self.context.reactor.register(self._socket.fileno(), READ, self._readable)
        else:
            # Before closing: other processes hold this socket too, so epoll would go on reporting it.
            self.context.reactor.unregister(self._socket.fileno())

    def _close_if_done(self) -> None:
        reads_no_more = self._stage in (Stage.ANSWERING, Stage.LEAVING)
        if reads_no_more and not self._unfinished and not self._timed:
            self._stage = Stage.CLOSED
            self._socket.close()
            self._on_closed()
