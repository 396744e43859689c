"""A worker's part of the introductions: it reports its first use of the bus, and receives sockets to the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from reactorhost.bus.refs import ID_BYTES, Origin
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import JsonLine
from reactorhost.ipc.messages import Report
from reactorhost.ipc.worker_spec import WorkerSpec
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.bus.contract import Inbound, Outbound, Repeats

if TYPE_CHECKING:
    from reactorhost.worker.bus.peers.peers import Peers


class Introductions:
    """Makes the `Peers` of a worker when they are needed, and carries out the orders about them.

    Attributes:
        origin: the ids of the host and of this worker.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        reactor: Reactor,
        registry: ForkRegistry,
        log: EventLog,
        counters: Counters,
        line: JsonLine,
    ) -> None:
        self.origin = Origin(spec.host_id, os.urandom(ID_BYTES))
        self._spec = spec
        self._reactor = reactor
        self._registry = registry
        self._log = log
        self._counters = counters
        self._line = line
        self._peers: Peers | None = None

    def new_outbound(
        self, inbound: Inbound, repeats: Repeats, on_ended: Callable[[Origin, bool], object] = lambda worker, _: None
    ) -> Outbound:
        """Connect to the other workers, see `Peers`; called at most once."""
        # Here and not above: most workers do not use the bus.
        from reactorhost.bus.frames import Hello
        from reactorhost.worker.bus.peers.peers import PeerLimits, Peers

        settings = self._spec.settings
        peers = Peers(
            Hello(self.origin.host, self.origin.worker, self._spec.slot, os.getpid()),
            PeerLimits(settings.bus_max_queue, settings.bus_down_period),
            inbound,
            repeats,
            reactor=self._reactor,
            registry=self._registry,
            log=self._log,
            counters=self._counters,
            exists=self._spec.scoreboard.has_bus_id,
            receive_orders=self._line.receive_within,
            on_ended=on_ended,
        )
        self._peers = peers
        # Before a ref of its connections is known anywhere.
        self._spec.scoreboard.write_bus_id(self._spec.page, self.origin.worker)
        self._line.send({"report": Report.USES_BUS})
        return peers

    def introduce(self, pid: int, *, late: bool) -> None:
        """Carry out the order to talk to another worker, whose socket came with it."""
        assert self._peers is not None, "only a worker that uses the bus is introduced"
        descriptors = self._line.take_descriptors(1)
        if descriptors:
            self._peers.introduce(socket.socket(fileno=descriptors[0]), pid, late=late)
        else:
            # As for an adoption: at the limit of descriptors the kernel drops what does not fit.
            self._log.warning("introduction_failed", peer_pid=pid, reason="too many open files")
            self._line.send({"report": Report.NOT_INTRODUCED, "pid": pid})

    def all_introduced(self) -> None:
        """Note that every worker that used the bus before this one is introduced."""
        assert self._peers is not None, "only a worker that uses the bus is introduced"
        self._peers.all_introduced()
