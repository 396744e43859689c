"""Serve the sockets of another slot: the master sends copies of their descriptors with its order."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import Report
from reactorhost.ipc.worker_spec import BorrowedListener
from reactorhost.logs import EventLog
from reactorhost.worker.accept.slot_sockets import SlotSockets
from reactorhost.worker.state import Lifecycle, WorkerState


@dataclass(slots=True, eq=False)
class Adoption:
    """Takes sockets from `line`, the master's, to `slot_sockets`, while the worker serves."""

    slot_sockets: SlotSockets
    line: JsonLine
    lifecycle: Lifecycle
    log: EventLog

    def adopt(self, slot: int | None, listeners: Sequence[Message]) -> None:
        """Serve the sockets that came with an order, or close them and report that they are released."""
        sockets = [socket.socket(fileno=descriptor) for descriptor in self.line.take_descriptors(len(listeners))]
        incomplete = len(sockets) < len(listeners)
        if incomplete:
            # At the limit of descriptors the kernel drops those that do not fit (SCM_RIGHTS, unix(7)) and reports
            # nothing but MSG_CTRUNC.
            self.log.warning("adoption_failed", for_slot=slot, reason="too many open files")
        if incomplete or self.lifecycle.state is not WorkerState.SERVING:
            for sock in sockets:
                sock.close()
            # Without a slot: new unix sockets. Those in whose place they were sent stay.
            if slot is not None:
                self.line.send({"report": Report.RELEASED, "slot": slot, "refused": incomplete})
            return
        for each, sock in zip(listeners, sockets, strict=True):
            self.slot_sockets.add(BorrowedListener(slot, each["service"], each["scheme"], sock))
