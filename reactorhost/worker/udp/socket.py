"""One UDP socket of a worker: reads datagrams, sends answers, and stays open while answers may still be sent.

A datagram has a connection object of its own, which nothing opens or closes. It is forgotten when its hooks have
finished and its timers are over. A worker that stops reading keeps its copy of the socket until then, because only this
socket can send answers from the right port; the master is notified (`on_closed`) afterwards.
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
from reactorhost.system.rate_limit import RateLimit
from reactorhost.system.scope import host_of
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.udp import pktinfo
from reactorhost.worker.udp.pktinfo import AncillaryData
from reactorhost.worker.udp.transport import DatagramTransport

if TYPE_CHECKING:
    from reactorhost.worker.hooks.hook_queues import HookQueues

_BATCH = 64
_MOST_UNFINISHED = 1024
_FEW_UNFINISHED = 256
_BUFFER_BYTES = 65536
_ANCILLARY_BYTES = 128
# 65535 bytes of an IP packet, less its header and the header of UDP. IPv6 does not count its own.
_MOST_BYTES_OF_IPV4 = 65535 - 20 - 8


class DatagramSocket(Protocol):
    """The part of `socket.socket` that is used here."""

    def recvfrom_into(self, buffer: bytearray, size: int, flags: int, /) -> tuple[int, Any]: ...
    def recvmsg_into(
        self, buffers: list[bytearray], ancillary_size: int, flags: int, /
    ) -> tuple[int, AncillaryData, int, Any]: ...
    def sendto(self, data: bytes, address: Any, /) -> int: ...
    def sendmsg(self, data: list[bytes], ancillary: AncillaryData, flags: int, address: Any, /) -> int: ...
    def getsockopt(self, level: int, option: int, /) -> int: ...
    def getsockname(self) -> Any: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...

    @property
    def family(self) -> int: ...


class UdpSocketState(enum.Enum):
    """What a UDP socket still does; the states only follow each other downward, and may be skipped."""

    READING = "reading"
    EMPTYING = "emptying"
    """Reads what is queued in the kernel, then no more."""
    ANSWERING = "answering"
    """Reads no more; waits for hooks and timers, which may send."""
    CANCELLING = "cancelling"
    """Waits for cancelled hooks only."""
    CLOSED = "closed"


_READS = (UdpSocketState.READING, UdpSocketState.EMPTYING)


class UdpSocket:
    """One UDP socket that a worker borrows from a slot; `on_closed` is called when this copy is closed."""

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
        self._state = UdpSocketState.READING
        self._registered = False
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        has_pktinfo = pktinfo.is_enabled(sock.family, sock.getsockopt)
        self._receive = self._receive_message if has_pktinfo else self._receive_from
        has_networks = context.admission is not None and context.admission.rules.has_networks
        self._received = self._received_if_allowed if has_networks else self._deliver
        self._unfinished: set[DatagramTransport] = set()
        self._timed: set[DatagramTransport] = set()
        self._too_long = 0
        self._too_long_lines = RateLimit(1)

    @property
    def closed(self) -> bool:
        """Whether this copy of the socket is closed."""
        return self._state is UdpSocketState.CLOSED

    @property
    def accepts_timers(self) -> bool:
        """Whether timers may be added; once hooks are cancelled, no timer runs any more."""
        return self._state not in (UdpSocketState.CANCELLING, UdpSocketState.CLOSED)

    def open(self) -> None:
        """Begin to read."""
        self._set_registered(True)

    def empty_queue(self) -> None:
        """Read what is queued in the kernel, then release the socket: no other process will read it."""
        if self._state is UdpSocketState.READING:
            self._state = UdpSocketState.EMPTYING
            # Read at least once: an empty socket never becomes readable, so its end would not be noticed.
            self.context.reactor.call_soon(self._readable, READ)

    def release(self) -> None:
        """Stop reading and leave the kernel's queue to another worker; close when no answer is owed any more."""
        if self._state in _READS:
            self._state = UdpSocketState.ANSWERING
            self._set_registered(False)
            self._close_if_done()

    def abandon(self) -> None:
        """Stop reading, cancel every timer and every hook that still runs, and close when the hooks have ended."""
        if not self.accepts_timers:
            return
        self._state = UdpSocketState.CANCELLING
        self._set_registered(False)
        for transport in tuple(self._timed):
            transport.cancel_timers()
        self._timed.clear()
        if self.context.hook_queues is not None:
            for transport in tuple(self._unfinished):
                self.context.hook_queues.cancel(transport.connection)
        self._close_if_done()

    # Receiving.

    def _readable(self, events: int) -> None:
        for _ in range(_BATCH):
            if not self._registered:
                return
            try:
                size, address, ancillary = self._receive()
            except OSError:
                if self._state is UdpSocketState.EMPTYING:
                    self.release()
                return
            self._received(size, address, ancillary)

    def _receive_from(self) -> tuple[int, Any, AncillaryData]:
        # With MSG_TRUNC the kernel returns the size of the whole datagram even if it was truncated.
        size, address = self._socket.recvfrom_into(self._buffer, 0, socket.MSG_TRUNC)
        return size, address, []

    def _receive_message(self) -> tuple[int, Any, AncillaryData]:
        size, ancillary, _, address = self._socket.recvmsg_into([self._buffer], _ANCILLARY_BYTES, socket.MSG_TRUNC)
        return size, address, ancillary

    def _received_if_allowed(self, size: int, address: Any, ancillary: AncillaryData) -> None:
        assert self.context.admission is not None
        if self.context.admission.allows(Endpoint(host_of(address), address[1])):
            self._deliver(size, address, ancillary)

    def _deliver(self, size: int, address: Any, ancillary: AncillaryData) -> None:
        context = self.context
        if size > context.limits.max_datagram:
            self._drop_too_long(size, address)
            return
        # A copy: the next datagram is read into the same buffer, and a plugin may keep this one.
        data = self._view[:size].tobytes()
        transport = DatagramTransport(self, address, ancillary, next(self._ids))
        connection = transport.connection
        if context.loop_thread.has_others:
            context.loop_thread.check_sends(connection)
        connection.bytes_in = size
        counters = context.counters
        counters.messages += 1
        counters.bytes_in += size
        try:
            context.runner(transport.variables).run(context.receive, connection, data)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            context.hook_raised("receive", connection, raised)
        if self.context.hook_queues is not None:
            self._wait_for_hook(transport, self.context.hook_queues)

    def _drop_too_long(self, size: int, address: Any) -> None:
        """Count and log a datagram that is dropped whole, because half a message is useless to a plugin."""
        self._too_long += 1
        if self._too_long_lines.admits(self.context.reactor.now):
            self.context.log.warning(
                "datagram_too_long",
                service=self.context.name,
                peer=Endpoint(host_of(address), address[1]),
                bytes=size,
                max_datagram=self.context.limits.max_datagram,
                dropped=self._too_long,
            )

    # Sending.

    def send(self, data: bytes, address: Any, ancillary: AncillaryData) -> bool:
        """Send a datagram; returns False when the kernel does not accept it.

        Raises:
            ValueError: the data does not fit into a datagram.
        """
        try:
            if ancillary:
                self._socket.sendmsg([data], ancillary, 0, address)
            else:
                self._socket.sendto(data, address)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                check_size(data)
            return False
        self.context.counters.bytes_out += len(data)
        return True

    def local(self) -> Endpoint:
        """Return the address that the socket is bound to."""
        try:
            name = self._socket.getsockname()
        except OSError:
            return Endpoint("", 0)
        return Endpoint(host_of(name), name[1])

    # Hooks and timers that may still send.

    def _wait_for_hook(self, transport: DatagramTransport, hook_queues: HookQueues) -> None:
        self._unfinished.add(transport)
        hook_queues.forget(transport.connection, lambda: self._hook_finished(transport))
        if len(self._unfinished) >= _MOST_UNFINISHED:
            # Backpressure: datagrams wait in the kernel's buffer, which drops those that it has no room for.
            self._set_registered(False)

    def _hook_finished(self, transport: DatagramTransport) -> None:
        self._unfinished.discard(transport)
        if self._state not in _READS:
            self._close_if_done()
        elif not self._registered and len(self._unfinished) <= _FEW_UNFINISHED:
            self._set_registered(True)
            # As in `empty_queue`: the socket may be empty now.
            self.context.reactor.call_soon(self._readable, READ)

    def timer_added(self, transport: DatagramTransport) -> None:
        """Keep the socket open until the timers of `transport` are over."""
        self._timed.add(transport)

    def timers_over(self, transport: DatagramTransport) -> None:
        """Forget `transport` unless the function of its last timer, which runs now, adds another one."""
        self.context.reactor.call_soon(self._forget_without_timers, transport)

    def _forget_without_timers(self, transport: DatagramTransport) -> None:
        if not transport.has_timers:
            self._timed.discard(transport)
            self._close_if_done()

    # Closing.

    def _set_registered(self, registered: bool) -> None:
        if registered == self._registered:
            return
        self._registered = registered
        if registered:
            self.context.reactor.register(self._socket.fileno(), READ, self._readable)
        else:
            # Before closing: other processes have this socket open too, so epoll would continue to report it.
            self.context.reactor.unregister(self._socket.fileno())

    def _close_if_done(self) -> None:
        owes_nothing = not self._unfinished and not self._timed
        if owes_nothing and self._state in (UdpSocketState.ANSWERING, UdpSocketState.CANCELLING):
            self._state = UdpSocketState.CLOSED
            self._socket.close()
            self._on_closed()


def check_size(data: bytes) -> None:
    """Check that data fits into a datagram; called after an error, for the kernel has a second use for the same one.

    Raises:
        ValueError: it does not.
    """
    if len(data) > _MOST_BYTES_OF_IPV4:
        room = f"{_MOST_BYTES_OF_IPV4} bytes over IPv4, {_MOST_BYTES_OF_IPV4 + 20} over IPv6"
        raise ValueError(f"a datagram has room for {room}, not for {len(data)}") from None
