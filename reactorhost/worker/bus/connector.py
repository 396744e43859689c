"""Connects a worker to the others when the bus is used first: to those of its host, and by a backend to the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reactorhost.bus.backend import Backend, BackendState
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import JsonLine
from reactorhost.ipc.messages import Report
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.contract import Inbound, KeptHistory, Outbound
from reactorhost.worker.bus.peers.introductions import Introductions
from reactorhost.worker.hooks.hook_errors import HookFailure

if TYPE_CHECKING:
    from reactorhost.worker.bus.remote.backend_bridge import BackendBridge


@dataclass(slots=True, eq=False, repr=False)
class BusConnector:
    """The connector of one worker."""

    introductions: Introductions
    reactor: Reactor
    counters: Counters
    log: EventLog
    line: JsonLine
    down_period: float
    _backend: Backend | None = field(default=None, init=False)
    _bridge: BackendBridge | None = field(default=None, init=False)

    def use(self, backend: Backend, plugin: str, hook_failed: HookFailure) -> None:
        """Connect to workers of other hosts by this backend, which a plugin has brought."""
        # Here and not above: most hosts have no backend.
        from reactorhost.worker.bus.remote.guarded_backend import GuardedBackend

        self._backend = GuardedBackend(backend, plugin, hook_failed)

    def new_outbound(self, inbound: Inbound, history: KeptHistory) -> Outbound:
        """Connect to the other workers; called at most once."""
        if self._backend is None:
            return self.introductions.new_outbound(inbound, history)
        from reactorhost.worker.bus.peers_and_bridge import PeersAndBridge
        from reactorhost.worker.bus.remote.backend_bridge import BackendBridge
        from reactorhost.worker.bus.remote.ended_peers import EndedPeers

        own = self.introductions.origin
        self._bridge = bridge = BackendBridge(
            own,
            self._backend,
            self.reactor,
            inbound,
            history,
            self.counters,
            self.log,
            down_period=self.down_period,
            on_state=self._report_state,
        )
        ended_peers = EndedPeers(
            own, self.reactor, lambda: (worker for worker, _ in peers.presence()), bridge.report_ended
        )
        peers = self.introductions.new_outbound(inbound, history, ended_peers.add)
        bridge.start()
        return PeersAndBridge(own.host, peers, bridge)

    def leave(self) -> None:
        """Notify other hosts that the worker is about to close its connections."""
        if self._bridge is not None:
            self._bridge.leave()

    def _report_state(self, state: BackendState, reason: str) -> None:
        self.line.send({"report": Report.BUS_BACKEND, "state": str(state), "reason": reason})
