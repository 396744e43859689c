"""Keep the host's sockets in the store of the service manager, so that their queues outlive the master.

Each socket is stored once, when it is made, and removed when it is closed. What they are is in a file in memory that is
stored too: it is written anew, in place, when slots or addresses change. A stop removes nothing. The service manager
drops its store when the unit is stopped, and not when it is restarted: the master cannot distinguish the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.config.settings import MAX_WORKERS
from reactorhost.master.context import MasterContext
from reactorhost.master.listen import stored_sockets
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.slot_socket import SlotSocket
from reactorhost.master.listen.stored_sockets import leaving_slots
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.systemd.outbox import Outbox
from reactorhost.system.fork import ForkRegistry


@dataclass(slots=True, eq=False)
class SocketStore:
    """Stores the sockets of a host; `most` is how many descriptors the service manager keeps."""

    context: MasterContext
    outbox: Outbox
    most: int
    _stored: dict[SlotSocket, str] = field(default_factory=dict)
    _description: int = -1
    _described: tuple[object, ...] | None = None
    _is_full: bool = False

    def begin(self, registry: ForkRegistry) -> None:
        """Store the sockets that exist, and follow them from now on."""
        before = self.context.listeners.passed.stored
        for name in sorted(before.names - before.used - {stored_sockets.DESCRIPTION}):
            self._remove(name)
        for each in self.context.listeners.own():
            if (name := self._name(each)) in before.used:
                self._stored[each] = name
        self._description = os.memfd_create("reactorhost-sockets")
        registry.add(self, self.close)
        self._remove(stored_sockets.DESCRIPTION)
        self._store(stored_sockets.DESCRIPTION, lambda: self._description)
        self.update()

    def close(self) -> None:
        """Close the file with the description; the service manager has another copy."""
        if self._description >= 0:
            os.close(self._description)
            self._description = -1

    def update(self) -> None:
        """Store what is new, remove what was closed, and describe what there is."""
        # From then on the master closes its copies, and the store is for the next one.
        if self.context.planner.state is HostState.STOPPING or self._description < 0:
            return
        own = self.context.listeners.own()
        for each in self._stored.keys() - own:
            self._remove(self._stored.pop(each))
        for each in own:
            # One is for the description.
            if each not in self._stored and not self._warn_if_full(len(self._stored) + 2):
                self._stored[each] = name = self._name(each)
                self._store(name, each.socket.fileno)
        # Cheaper than the description, because it is compared each time that a worker reports something.
        described = tuple((each, each.slot, each.is_open, each.group.steered) for each in own)
        if described != self._described:
            self._described = described
            text = stored_sockets.written(self.context.listeners.export())
            os.pwrite(self._description, text, 0)
            os.ftruncate(self._description, len(text))

    def _warn_if_full(self, count: int) -> bool:
        is_full = count > self.most
        if is_full and not self._is_full:
            self.context.log.warning("socket_store_full", stored=len(self._stored), limit=self.most)
        self._is_full = is_full
        return is_full

    @staticmethod
    def _name(each: SlotSocket) -> str:
        return stored_sockets.name_of(os.fstat(each.socket.fileno()).st_ino)

    def _store(self, name: str, descriptor: Callable[[], int]) -> None:
        def open_descriptors() -> tuple[int, ...]:
            # It may have been closed while the notification waited.
            number = descriptor()
            return () if number < 0 else (number,)

        # Without FDPOLL=0 the service manager drops a socket that is bound and does not listen yet: it is hung up.
        self.outbox.send("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", descriptors=open_descriptors)

    def _remove(self, name: str) -> None:
        self.outbox.send("FDSTOREREMOVE=1", f"FDNAME={name}")


def continue_slots(planner: Planner, listeners: Listeners, now: float) -> None:
    """Let the planner begin with the slots of sockets that were stored: clients wait in their queues."""
    if not listeners.passed.stored.used:
        return
    sockets = listeners.own()
    reachable = {each.slot for each in sockets if each.is_open and each.slot is not None and each.slot < MAX_WORKERS}
    planner.scaling.resume(reachable, leaving_slots(sockets), now + planner.settings.retire_delay)
