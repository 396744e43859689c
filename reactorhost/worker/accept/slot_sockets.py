"""The entrances: every socket that clients come in by, streams and datagrams, of this slot and of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reactorhost.ipc.worker_spec import BorrowedListener
from reactorhost.worker.accept.acceptor import Acceptor, Listener
from reactorhost.worker.accept.udp_sockets import UdpSockets
from reactorhost.worker.service import RunningService


class SlotSockets:
    """What a worker accepts and reads from; `released` hears when every copy of a slot's sockets is closed."""

    def __init__(
        self, acceptor: Acceptor, services: Mapping[str, RunningService], released: Callable[[int], object]
    ) -> None:
        self._acceptor = acceptor
        self._ports = UdpSockets(self._port_closed)
        self._services = services
        self._released = released

    @property
    def in_use(self) -> bool:
        """Whether datagrams that were taken in are still worked on."""
        return bool(self._ports.slots())

    def add(self, borrowed: BorrowedListener) -> None:
        """Serve the clients of a listening socket."""
        service = self._services[borrowed.service]
        if borrowed.scheme == "udp":
            assert borrowed.slot is not None, "slots do not share UDP sockets"
            self._ports.add(borrowed.slot, service, borrowed.socket)
        else:
            self._acceptor.add([Listener(borrowed.slot, borrowed.socket, service.acceptor(borrowed.scheme))])

    def release(self, slot: int) -> None:
        """Leave what waits at the sockets of a slot to somebody else."""
        self._acceptor.release(slot)
        if slot in self._ports.slots():
            self._ports.release(slot)
        else:
            self._released(slot)

    def release_all(self) -> None:
        """Leave everything to somebody else."""
        for slot in self._acceptor.release_all() | self._ports.slots():
            self.release(slot)

    def finish(self) -> None:
        """Take in everything that waits, then close: nobody comes after us."""
        self._acceptor.drain_and_close()
        self._ports.finish()

    def abandon(self) -> None:
        """Wait no more for what works on datagrams."""
        self._ports.abandon()

    def connection_ended(self) -> None:
        """Accept again, if there was no room."""
        self._acceptor.connection_ended()

    def close_inherited(self) -> None:
        """Close the copies of a process that a plugin forked, which is not the worker."""
        self._acceptor.close_inherited()
        self._ports.close_inherited()

    def _port_closed(self, slot: int) -> None:
        if slot not in self._ports.slots():
            self._released(slot)
